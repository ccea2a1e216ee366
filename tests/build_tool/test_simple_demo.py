"""The sample `simple_demo`."""

import re
from typing import Any

from .conftest import BuiltSample
from .projects import run_workflow


def test_it_offers_three_tasks_in_a_row(simple_demo: BuiltSample) -> None:
    manifest = simple_demo.package.manifest
    (workflow,) = manifest.workflows
    assert (manifest.name, workflow.name) == ("simple_demo", "data_processing")
    assert workflow.graph() == {
        "collect_data": (),
        "process_data": ("collect_data",),
        "generate_report": ("process_data",),
    }
    assert [task.retry.max_attempts for task in workflow.tasks] == [2, 3, 1]


def test_it_reports_what_it_processed(simple_demo: BuiltSample) -> None:
    context: dict[str, Any] = run_workflow(simple_demo.package, simple_demo.unpacked, {})
    assert context["raw_data"]["count"] == len(context["raw_data"]["records"]) == 1000
    processed, report = context["processed_data"], context["report"]
    assert processed["count"] == report["total_processed"] == 950
    assert sum(processed["rejected"].values()) == 50
    assert report["success_rate"] == 95.0
    assert re.fullmatch(r"RPT_[0-9]{9,}", report["id"])

    records = context["raw_data"]["records"]
    earned = sum(
        r["quantity"] * r["price_cents"] for r in records if r["product"] and r["quantity"] > 0
    )
    assert report["total_revenue_cents"] == earned
