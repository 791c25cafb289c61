"""Prints the DDL of the current metadata: the starting point of a new migration."""

from sqlalchemy.dialects import postgresql
from sqlalchemy.schema import CreateIndex, CreateTable

from isthmus.store.tables import metadata

for table in metadata.sorted_tables:
    print(str(CreateTable(table).compile(dialect=postgresql.dialect())).strip() + ";")
    for index in sorted(table.indexes, key=lambda i: str(i.name)):
        print(str(CreateIndex(index).compile(dialect=postgresql.dialect())).strip() + ";")
    if table.comment:
        comment = table.comment.replace("'", "''")
        print(f"COMMENT ON TABLE {table.name} IS '{comment}';")
    print()
