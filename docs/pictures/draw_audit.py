"""Audit a log, and draw the picture of the README and of the page on audits.

    python docs/pictures/draw_audit.py vllm-rtx4090-llama-3.1-8b/requests.jsonl

prints what ``batchprophet audit requests.jsonl --time-limit 300`` prints, and draws audit.png.
"""

import sys
from pathlib import Path

import batchprophet as bp

FOLDER = Path(__file__).parent

if __name__ == "__main__":
    audited = bp.audit(sys.argv[1], time_limit=300)
    print(audited.summary())
    audited.plot_knobs().savefig(FOLDER / "audit.png", dpi=110, facecolor="white")
