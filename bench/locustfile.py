"""locustfile.py - users who ask for / every 1 to 5 seconds: locust -f bench/locustfile.py --host http://localhost"""
from locust import FastHttpUser, between, task


class Visitor(FastHttpUser):
    wait_time = between(1, 5)

    @task
    def index(self):
        self.client.get("/")
