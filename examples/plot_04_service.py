"""
===============================================
A service that answers with what it is given
===============================================

A model is saved, loaded by a small web service, and asked over HTTP. Requests have the
modalities that the caller knows, and no others. The service needs the standard library
and the extra ``io`` only.
"""

# %%
# Train and save
# --------------

import json
import tempfile
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import numpy as np

import skmissing.io
from skmissing.datasets import load_digits_views
from skmissing.ensemble import LateFusionClassifier

digits = load_digits_views()
X, y, widths = digits.data, digits.target, digits.modalities
late = LateFusionClassifier("linear", modalities=widths).fit(X[:1200], y[:1200])
path = Path(tempfile.mkdtemp()) / "model.skops"
skmissing.io.dump(late, path)

# %%
# The service
# -----------
# A request is a JSON object with a list of numbers per modality. Rows are arrays, since
# the checks of data frames take longer than the prediction of one sample.

model = skmissing.io.load(path)
layout = model.modalities_


def read_row(request):
    """Return one row of X; modalities that are not named are missing."""
    row = np.full((1, layout.n_features), np.nan)
    for name, values in request.items():
        if name not in layout:
            raise ValueError(f"modality must be one of {list(layout)}; got {name!r}.")
        columns = layout[name].columns
        if np.shape(values) != columns.shape:
            raise ValueError(f"{name} must have {len(columns)} numbers.")
        row[0, columns] = values
    if np.isnan(row).all():
        raise ValueError("A request must have a modality.")
    return row


class Handler(BaseHTTPRequestHandler):
    """Answers POST requests with the probabilities of the classes."""

    def do_POST(self):
        """Predict, or say what is wrong with the request."""
        try:
            length = int(self.headers["Content-Length"])
            row = read_row(json.loads(self.rfile.read(length)))
            status, answer = 200, model.predict_proba(row)[0].round(4).tolist()
        except (TypeError, ValueError) as error:
            status, answer = 400, {"error": str(error)}
        body = json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args):
        """Log nothing."""


server = ThreadingHTTPServer(("localhost", 0), Handler)
threading.Thread(target=server.serve_forever, daemon=True).start()

# %%
# Ask it
# ------


def ask(request):
    """Send a request, and return the answer."""
    url = f"http://localhost:{server.server_port}"
    try:
        with urlopen(Request(url, json.dumps(request).encode())) as response:
            return json.load(response)
    except HTTPError as error:
        return json.load(error)


views = {name: X[1500, m.columns].tolist() for name, m in layout.items()}
for known in (["pixels"], ["profiles"], list(views)):
    answer = ask({name: views[name] for name in known})
    print(f"class {np.argmax(answer)} with probability {max(answer):.2f} from {known}")
print(ask({"smell": [1.0]}))
server.shutdown()
server.server_close()

# %%
# One model answers for any set of modalities, and a wrong request says what is wrong.
