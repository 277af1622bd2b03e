"""A script that uses mcnb: ``python -m tests.benchmarks.cold_ours COMPOSE_FILE PROMPT TOKENS``; it prints the text."""

import sys

import mcnb

run = mcnb.load(sys.argv[1]).submit("streamed", prompt=sys.argv[2], tokens=int(sys.argv[3]))
for event in run.events():
    if event.type == "token" and event.data["text"]:
        print(event.data["text"], end="", flush=True)
run.result()
