"""Prometheus' text format."""

from vp_jax.serve.metrics import Counters


def test_counters_and_gauges_as_text():
    counters = Counters()
    counters.add("vp_jax_steps_total")
    counters.add("vp_jax_steps_total", 2)
    counters.add("vp_jax_requests_total", route='/a"b\\c\n', status="200")
    text = counters.text({"vp_jax_jobs": [({"state": "done"}, 3)], "vp_jax_disk_free_bytes": [({}, 123456789012)]})
    assert text.splitlines() == [
        "# HELP vp_jax_requests_total Requests by method, route and status.",
        "# TYPE vp_jax_requests_total counter",
        'vp_jax_requests_total{route="/a\\"b\\\\c\\n",status="200"} 1',
        "# HELP vp_jax_steps_total Denoising steps that were done.",
        "# TYPE vp_jax_steps_total counter",
        "vp_jax_steps_total 3",
        "# HELP vp_jax_jobs Jobs by state.",
        "# TYPE vp_jax_jobs gauge",
        'vp_jax_jobs{state="done"} 3',
        "# HELP vp_jax_disk_free_bytes Free bytes where the server keeps its files.",
        "# TYPE vp_jax_disk_free_bytes gauge",
        "vp_jax_disk_free_bytes 123456789012",
    ]
