"""The user's files: read as existing installations have them, and never damaged; downloads from a real server."""

import http.server
import io
import json
import threading
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
    def do_GET(self):
        body = ARCHIVES.get(self.path, ARCHIVES["/good.zip"])
        if self.path == "/gone.zip":
            self.send_error(404)
            return
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


def test_no_network(tmp_path):
    with pytest.raises(nn_meter.Error, match="cannot be downloaded: .*; check the network, or unpack it into"):
        nn_meter.download_from_url("http://127.0.0.1:9/x.zip", tmp_path / "folder")


def test_bench_dataset_after_a_failure_is_tried_again(home, url):
    with pytest.raises(nn_meter.Error):
        nn_meter.bench_dataset(url + "/half.zip")
    assert len(nn_meter.bench_dataset(url + "/good.zip")) == 2
