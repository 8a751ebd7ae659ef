"""The no-op function of Google's functions-framework: what is left is the cost of its server."""


def noop(request):
    return "ok\n"
