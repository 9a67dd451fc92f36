"""flaskapp.py - the app of the replaced stack, without its log: flaskapp.py PORT"""
import logging
import sys

from flask import Flask, Response

app = Flask(__name__)
logging.getLogger("werkzeug").setLevel(logging.CRITICAL)


@app.route("/")
def index():
    return Response("Hello from Cloud Application", mimetype="text/plain")


app.run(host="127.0.0.1", port=int(sys.argv[1]), threaded=True)
