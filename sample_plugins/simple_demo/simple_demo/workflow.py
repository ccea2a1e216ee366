"""The workflow `data_processing`."""

import time
from collections import Counter
from typing import Any

from cloacina_sdk import Context, task, workflow
from simple_demo.orders import arriving, problem_of, revenue_cents

RECORDS = 1_000


@workflow(
    name="data_processing",
    description="Collect orders, drop the invalid ones and report",
    tags={"kind": "sample"},
)
class DataProcessing:
    """Three tasks in a row; each reads what the one before it wrote."""

    @staticmethod
    @task(retry_attempts=2)
    def collect_data(context: Context) -> None:
        """Collect the orders of the day."""
        orders = list(arriving(RECORDS))
        context["raw_data"] = {"count": len(orders), "records": orders}
        print(f"Collected {len(orders)} records")

    @staticmethod
    @task(dependencies=["collect_data"], retry_attempts=3)
    def process_data(context: Context) -> None:
        """Keep the valid orders and add them up."""
        raw: Any = context["raw_data"]
        orders = raw["records"]
        problems = {order["id"]: problem_of(order) for order in orders}
        valid = [order for order in orders if not problems[order["id"]]]
        context["processed_data"] = {
            "count": len(valid),
            "rejected": dict(Counter(filter(None, problems.values()))),
            "revenue_cents": revenue_cents(valid),
        }
        print(f"Processed {len(valid)} of {len(orders)} records")

    @staticmethod
    @task(dependencies=["process_data"], retry_attempts=1)
    def generate_report(context: Context) -> None:
        """Sum up the run."""
        raw: Any = context["raw_data"]
        processed: Any = context["processed_data"]
        report: dict[str, Any] = {
            "id": f"RPT_{int(time.time())}",
            "total_processed": processed["count"],
            "success_rate": 100.0 * processed["count"] / raw["count"],
            "total_revenue_cents": sum(processed["revenue_cents"].values()),
        }
        context["report"] = report
        print(f"Report {report['id']}: {report['success_rate']:.1f}% processed")
