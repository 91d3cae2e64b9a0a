"""One file a verb, in the order in which flow.py calls them: load, matte, pad, request, send, unpad."""
