"""locustfile.py - users who ask for /: locust -f bench/locustfile.py --host http://localhost"""
from locust import FastHttpUser, constant, task


class Visitor(FastHttpUser):
    wait_time = constant(1)

    @task
    def index(self):
        self.client.get("/")
