"""Runs in the fork server and its children: the sandbox and the kernel body. Never imports `host`."""
