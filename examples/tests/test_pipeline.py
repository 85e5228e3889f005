from examples.pipeline import SHADES, Frame, app, palette
from hammerwork_cli import Job
from hammerwork_cli.testing import Jobs, run


def test_a_film_has_the_lines_of_all_frames(jobs: Jobs) -> None:
    film = jobs.queue.enqueue(Job("film", {"frames": 3, "size": 8}))
    assert jobs.drain(app).completed == 5
    (cut,) = jobs.queue.jobs("cut", tree=film)
    assert cut.result == 3 * 8


def test_a_frame_shows_the_fractal() -> None:
    picture = run(app, Job("frame", Frame(0, 20, 3.0))).result
    assert (picture[0][0], picture[10][10]) == (SHADES[0], SHADES[-1])


def test_frames_use_the_palette() -> None:
    picture = run(app, Job("frame", Frame(0, 2, 3.0)), use={palette: ["x"] * 101}).result
    assert picture == ["xx", "xx"]
