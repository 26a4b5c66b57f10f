"""The command line: ``parser`` reads the arguments, and each subcommand is a module with ``execute(arguments) -> int``.

Modules here import the layers only inside ``execute``: help, version and bad arguments answer at once.
"""
