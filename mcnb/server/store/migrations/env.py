"""What alembic runs: the migrations, inside the transaction that its caller has opened. It leaves logging alone."""

from alembic import context

connection = context.config.attributes["connection"]
context.configure(connection=connection, transactional_ddl=True)
context.run_migrations()
