"""moto's server, one request after the other.

moto looks whether a key exists and then writes it, without a lock between the two. Served by
threads, two writers may both find it absent. Served in turn, its conditions are exact as S3's are.
"""

import sys

from moto.moto_server.werkzeug_app import (
    DomainDispatcherApplication,
    MotoRequestHandler,
    create_backend_app,
)
from werkzeug.serving import run_simple

if __name__ == "__main__":
    run_simple(
        "127.0.0.1",
        int(sys.argv[1]),
        DomainDispatcherApplication(create_backend_app),
        threaded=False,
        request_handler=MotoRequestHandler,
    )
