"""A program with a client that openapi-python-client made."""

import importlib
import json
import pkgutil
import sys

import contract
from contract import Client
from contract.api.jobs import get_api_jobs, get_api_jobs_id, post_api_jobs
from contract.models import PostApiJobsBody, Problem

for module in pkgutil.walk_packages(contract.__path__, "contract."):
    importlib.import_module(module.name)
client = Client(base_url=sys.argv[1], headers={"Origin": sys.argv[1]})
enqueued = post_api_jobs.sync(client=client, body=PostApiJobsBody(queue="mail", payload={"to": "ann"}))
assert enqueued is not None
assert not isinstance(enqueued, Problem)
listed = get_api_jobs.sync(client=client, queue=["mail"], limit=5)
assert isinstance(listed, list)
refused = get_api_jobs_id.sync("ffffffff-0000-4000-8000-000000000000", client=client)
assert isinstance(refused, Problem)
sys.stdout.write(json.dumps([str(enqueued.id), [str(job.id) for job in listed], refused.status]))
