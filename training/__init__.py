"""Training recipes. They use pyspike.nn, pyspike.models and pyspike.tasks; nothing in pyspike knows them."""
