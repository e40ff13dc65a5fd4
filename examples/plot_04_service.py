"""
==============================================
A service for requests with missing modalities
==============================================

This example saves a model, loads it in a small web service, and requests predictions
over HTTP. A request contains the observed modalities only. The service needs only the
standard library and the extra ``io``.
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

import matplotlib.pyplot as plt
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
# A request is a JSON object with a list of numbers per modality. Samples are arrays,
# because the checks of data frames take longer than the prediction of one sample.

model = skmissing.io.load(path)
layout = model.modalities_


def read_row(request):
    """Return one row of X, in which modalities that are not named are missing."""
    row = np.full((1, layout.n_features), np.nan)
    for name, values in request.items():
        if name not in layout:
            raise ValueError(f"modality must be one of {list(layout)}; got {name!r}.")
        columns = layout[name].columns
        if np.shape(values) != columns.shape:
            raise ValueError(f"{name} must have {len(columns)} numbers.")
        row[0, columns] = values
    if np.isnan(row).all():
        raise ValueError("A request must have at least one modality.")
    return row


class Handler(BaseHTTPRequestHandler):
    """Answer POST requests with the class probabilities."""

    def do_POST(self):
        """Return a prediction, or the error of a wrong request."""
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
# Send requests
# -------------


def ask(request):
    """Send a request, and return the answer."""
    url = f"http://localhost:{server.server_port}"
    try:
        with urlopen(Request(url, json.dumps(request).encode())) as response:
            return json.load(response)
    except HTTPError as error:
        return json.load(error)


views = {name: X[1500, m.columns].tolist() for name, m in layout.items()}
requests = [["pixels"], ["profiles"], list(views)]
fig, axes = plt.subplots(1, 3, figsize=(9, 2.6), sharey=True, layout="constrained")
for known, ax in zip(requests, axes):
    answer = ask({name: views[name] for name in known})
    print(f"class {np.argmax(answer)} with probability {max(answer):.2f} from {known}")
    ax.bar(range(10), answer)
    ax.set(title=" + ".join(known).replace("r + g", "r\n+ g"), xticks=range(10))
axes[0].set_ylabel("probability")
plt.show()
print(ask({"smell": [1.0]}))
server.shutdown()
server.server_close()

# %%
# One model predicts from any combination of modalities. Single modalities suggest other
# digits than all four do. The answer to a wrong request is an error message.
