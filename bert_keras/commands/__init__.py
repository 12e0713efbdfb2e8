"""What each verb of the command line does; one module a verb, imported when it is run."""
