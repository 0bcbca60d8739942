"""The user's files: read as existing installations have them, and never damaged; downloads from a real server."""

import http.server
import io
import json
import signal
import subprocess
import sys
import threading
import time
import zipfile

import nn_meter
import pytest
from nn_meter.utils import config_manager
from nn_meter.utils.utils import NumpyEncoder


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("NN_METER_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


def test_nothing_is_created_by_asking(home):
    assert config_manager.get_user_data_folder() == str(home / "data")
    assert not home.exists()


def test_without_the_variable_it_is_the_old_place(monkeypatch, tmp_path):
    monkeypatch.delenv("NN_METER_HOME", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert config_manager.get_user_data_folder() == str(tmp_path / ".nn_meter" / "data")


def test_xdg_counts_where_the_old_place_is_not_there(monkeypatch, tmp_path):
    monkeypatch.delenv("NN_METER_HOME", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "xdg"))
    assert config_manager.user_folder() == tmp_path / "xdg" / "nn_meter"
    (tmp_path / ".nn_meter").mkdir()
    assert config_manager.user_folder() == tmp_path / ".nn_meter"


def test_register_use_unregister(home, tmp_path, capsys):
    """A predictor file that somebody shares, under a name of its own."""
    from nn_meter.utils.nn_meter_cli.registry import register_predictor, unregister_predictor

    original = nn_meter.Predictor("cortexA76cpu_tflite21")
    from nn_meter.fit.predictor_file import container

    path = tmp_path / "mine.nnmeter"
    path.write_bytes(container("my_phone", "2.5", "a copy", original.rules, original.data))
    register_predictor(path)
    assert "Successfully register predictor: my_phone" in capsys.readouterr().out
    assert "my_phone" in [entry["name"] for entry in nn_meter.list_latency_predictors()]
    assert nn_meter.load_latency_predictor("MY_PHONE", 2.5).predictor.version == "2.5"
    with pytest.raises(nn_meter.Error):
        register_predictor(path)
    unregister_predictor("my_phone", 2.5)
    with pytest.raises(NotImplementedError):
        nn_meter.load_latency_predictor("my_phone")
    with pytest.raises(nn_meter.Error):
        unregister_predictor("my_phone", None)


def test_fetch_a_shared_file(home, url):
    original = nn_meter.Predictor("cortexA76cpu_tflite21")
    from nn_meter.fit.predictor_file import container

    ARCHIVES["/their_phone.nnmeter"] = container("their_phone", "1.0", "", original.rules, original.data)
    path = nn_meter.fetch("their_phone", url=url + "/their_phone.nnmeter")
    assert path.startswith(str(home)) and nn_meter.Predictor("their_phone").version == "1.0"
    with pytest.raises(nn_meter.Error, match="gone"):
        nn_meter.fetch("another", url=url + "/gone.zip")


def test_config_files(home):
    from nn_meter.predictor.utils import check_predictors, load_config_file

    assert load_config_file("registry.yaml") == []
    nn_meter.create_user_configs()
    assert load_config_file("settings.yaml") == {"data_folder": str(home / "data")}
    (home / "config" / "predictors.yaml").write_text("- name: [")
    with pytest.raises(nn_meter.Error, match="predictors.yaml: cannot be read"):
        load_config_file("predictors.yaml")
    (home / "add.pkl").touch()
    assert check_predictors(home, ["add"]) and not check_predictors(home, ["add", "conv"])


def test_data_folder_is_kept_beside_other_settings(home, tmp_path):
    settings = home / "config" / "settings.yaml"
    settings.parent.mkdir(parents=True)
    settings.write_text("# mine\nmode: fast\ndata_folder: /old/place\nother: [1, 2]\n")
    new = tmp_path / "it's here"
    nn_meter.change_user_data_folder(new)
    assert new.is_dir() and config_manager.get_user_data_folder() == str(new)
    text = settings.read_text()
    assert text.startswith("# mine\nmode: fast\n") and text.endswith("other: [1, 2]\n") and "/old/place" not in text


def test_create_user_configs_keeps_registered_predictors(home):
    nn_meter.create_user_configs()
    predictors = home / "config" / "predictors.yaml"
    predictors.write_text("- name: mine\n  version: 1.0\n")
    nn_meter.change_user_data_folder(home / "elsewhere")
    nn_meter.create_user_configs()
    assert predictors.read_text() == "- name: mine\n  version: 1.0\n"
    assert config_manager.get_user_data_folder() == str(home / "data")


def test_json_of_arrays():
    import numpy as np

    assert (
        json.dumps({"a": np.arange(2), "b": b"x", "c": np.float32(1)}, cls=NumpyEncoder)
        == '{"a": [0, 1], "b": "x", "c": 1.0}'
    )


# ------------------------------------------------------------------ downloads


def packed(files):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def link_to_outside():
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        entry = zipfile.ZipInfo("link")
        entry.external_attr = 0o120777 << 16
        archive.writestr(entry, "/etc/passwd")
    return buffer.getvalue()


ARCHIVES = {
    "/good.zip": packed({"b.jsonl": "{}\n", "a.jsonl": "{}\n", "more/c.txt": "c"}),
    "/out.zip": packed({"../out.txt": "x"}),
    "/absolute.zip": packed({"/tmp/out.txt": "x"}),
    "/link.zip": link_to_outside(),
    "/text.zip": b"not an archive",
}


class Server(http.server.BaseHTTPRequestHandler):
    ranges = []  # that were asked for of /cut.zip
    asked = threading.Event()  # for what is slow
    cuts = 0  # how many more times its first half is all that is sent

    def do_cut(self, body):
        start = int(self.headers.get("Range", "bytes=0-")[6:-1])
        self.ranges.append(start)
        self.send_response(206 if start else 200)
        self.send_header("ETag", '"one"')
        self.send_header("Content-Length", str(len(body) - start))
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(body) - 1}/{len(body)}")
        self.end_headers()
        end = len(body) // 2 if Server.cuts else len(body)
        Server.cuts = max(0, Server.cuts - 1)
        self.wfile.write(body[start:end])

    def do_GET(self):
        body = ARCHIVES.get(self.path, ARCHIVES["/good.zip"])
        if self.path.startswith("/slow/"):
            self.asked.set()
            time.sleep(8)
        elif self.path == "/cut.zip":
            self.do_cut(body)
        elif self.path == "/gone.zip":
            self.send_error(404)
        else:
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body[: len(body) // 2] if self.path == "/half.zip" else body)

    def log_message(self, *_):
        pass


@pytest.fixture(scope="module")
def url():
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Server)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()


def test_bench_dataset_downloads_once(home, url):
    files = nn_meter.bench_dataset(url + "/good.zip")
    assert files == [str(home / "data" / "dataset" / name) for name in ("a.jsonl", "b.jsonl")]
    assert nn_meter.bench_dataset(url + "/gone.zip") == files, "what is there is not downloaded again"


@pytest.mark.parametrize("name", ["gone", "half", "out", "absolute", "link", "text"])
def test_what_goes_wrong_leaves_nothing_behind(tmp_path, url, name):
    folder = tmp_path / "folder"
    with pytest.raises(nn_meter.Error, match=f"{name}.zip: cannot be downloaded"):
        nn_meter.download_from_url(f"{url}/{name}.zip", folder)
    assert list(folder.iterdir()) == [] and list(tmp_path.iterdir()) == [folder]


def test_a_later_call_goes_on(home, tmp_path, url, monkeypatch):
    monkeypatch.setattr(Server, "cuts", 4)
    monkeypatch.setattr(Server, "ranges", [])
    half = len(ARCHIVES["/good.zip"]) // 2
    with pytest.raises(
        nn_meter.Error, match="cut.zip: cannot be downloaded: .*1 KB are kept: the same command goes on"
    ):
        nn_meter.download_from_url(url + "/cut.zip", tmp_path / "folder")
    assert list((tmp_path / "folder").iterdir()) == [] and Server.ranges == [0, half, half, half]
    nn_meter.download_from_url(url + "/cut.zip", tmp_path / "folder")
    assert Server.ranges[4:] == [half] and (tmp_path / "folder" / "more" / "c.txt").read_text() == "c"
    assert list(home.rglob("*.part")) == []


def test_plain_http_from_elsewhere_is_asked_for(tmp_path):
    with pytest.raises(nn_meter.Error, match="example.invalid is plain http"):
        nn_meter.download_from_url("http://example.invalid/x.zip", tmp_path)
    with pytest.raises(nn_meter.Error, match="cannot reach example.invalid"):
        nn_meter.download_from_url("http://example.invalid/x.zip", tmp_path, allow_http=True)


def test_what_progress_raises_ends_a_download(home, tmp_path, url):
    def stop(done, total):
        raise KeyboardInterrupt

    with open(tmp_path / "file", "wb") as file, pytest.raises(KeyboardInterrupt):
        nn_meter._core.download(url + "/good.zip", file.fileno(), 1 << 20, 5, progress=stop)
    with open(tmp_path / "file", "wb") as file, pytest.raises(nn_meter.Error, match="is larger than 0 MB"):
        nn_meter._core.download(url + "/good.zip", file.fileno(), 10, 5)


INTERRUPTED = """
import signal, sys, nn_meter
signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored where tests run in the background
print("ready", flush=True)
try:
    nn_meter.fetch("phone", url=sys.argv[1] + "/slow/phone.zip")
except KeyboardInterrupt:
    print("interrupted")
"""


def test_fetch_hears_ctrl_c(home, url):
    process = subprocess.Popen([sys.executable, "-c", INTERRUPTED, url], stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "ready\n"
    assert Server.asked.wait(20)
    process.send_signal(signal.SIGINT)
    assert process.communicate(timeout=20)[0] == "interrupted\n"
    assert not (home / "data" / "predictor").exists()


def test_no_network(tmp_path):
    with pytest.raises(nn_meter.Error, match="cannot be downloaded: cannot reach 127.0.0.1: .*; or unpack it into"):
        nn_meter.download_from_url("http://127.0.0.1:9/x.zip", tmp_path / "folder")


def test_bench_dataset_after_a_failure_is_tried_again(home, url):
    with pytest.raises(nn_meter.Error):
        nn_meter.bench_dataset(url + "/half.zip")
    assert len(nn_meter.bench_dataset(url + "/good.zip")) == 2
