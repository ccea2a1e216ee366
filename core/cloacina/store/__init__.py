"""What is remembered: tables, statements, and the contract between the kernel and a database."""
