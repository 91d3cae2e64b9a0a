"""`rembg:NAME`: rembg's own sessions on real weights, verified by rembg's hash, and the names that do not work."""

import shutil
import warnings
from hashlib import sha256
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper
from PIL import Image

from photio_prep import prepare
from photio_prep.cutout.models import catalog, devices, rembg_models, rembg_sessions
from photio_prep.cutout.models.registry import get_model
from photio_prep.cutout.models.rembg_models import RembgModel, licence
from photio_prep.errors import ModelUnavailable, SegmenterFailed, UsageError
from photio_prep.settings import models_folder
from tests.support.commands import Command, alone, forget
from tests.support.photos import SCENE, photo

MUG = Path(__file__).parents[3] / "fixtures" / "photos" / "mug.jpg"
USERS = models_folder()
# Nothing listens there: what would be fetched fails at once.
NOWHERE = "http://127.0.0.1:9"


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """rembg's own folder, empty, and no network."""
    folder = tmp_path / "rembg"
    folder.mkdir()
    monkeypatch.setenv("U2NET_HOME", str(folder))
    for name in ("HTTPS_PROXY", "https_proxy"):
        monkeypatch.setenv(name, NOWHERE)
    for name in ("NO_PROXY", "no_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
    forget()
    return folder


@pytest.fixture
def installed(home: Path) -> Path:
    """Real weights of u2netp in rembg's folder; their MD5 is the one in rembg's source."""
    return Path(shutil.copy(USERS / catalog.find_weights("u2netp").file, home / "u2netp.onnx"))


def damage(file: Path) -> None:
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 1
    file.write_bytes(data)


@pytest.mark.model
def test_the_alpha_is_what_rembg_itself_predicts(installed: Path) -> None:
    picture = Image.open(MUG).convert("RGB")
    kind = rembg_sessions.import_all()["u2netp"]
    theirs = kind("u2netp", onnxruntime.SessionOptions(), providers=["CPUExecutionProvider"])
    model = get_model("rembg:u2netp", device="cpu")
    assert isinstance(model, RembgModel)
    assert model(picture).tobytes() == theirs.predict(picture)[0].tobytes()
    assert isinstance(model.session, kind)
    assert (model.name, model.device, model.fallback) == ("rembg:u2netp", "cpu", "")
    assert model.sha256 == sha256(installed.read_bytes()).hexdigest()
    assert model.file.checked


@pytest.mark.model
@pytest.mark.usefixtures("installed")
def test_an_order_names_it_and_is_recalled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = prepare(MUG, description=SCENE, model="rembg:u2netp", orders=tmp_path / "orders")

    def trap(*_: object) -> None:
        raise AssertionError("inferred again")

    monkeypatch.setattr(RembgModel, "__call__", trap)
    again = prepare(MUG, description=SCENE, model="rembg:u2netp", orders=tmp_path / "orders")
    assert (again.key, again.model, again.device) == (first.key, "rembg:u2netp", first.device)
    with pytest.raises(SegmenterFailed, match="inferred again"):
        prepare(MUG, description=SCENE, model="rembg:u2netp", orders=tmp_path / "others")


@pytest.mark.model
@pytest.mark.usefixtures("installed")
def test_the_command_says_the_licence_once_and_fetches_nothing(command: Command, tmp_path: Path) -> None:
    shutil.copy(MUG, tmp_path / "b.jpg")
    done = command("prepare", MUG, tmp_path / "b.jpg", "--model", "rembg:u2netp", "--json")
    assert done.code == 0
    assert {line["model"] for line in done.facts} == {"rembg:u2netp"}
    assert done.err.count("licence of rembg:u2netp") == 1
    assert "fetches" not in command("models", "pull", "rembg:u2netp").err
    assert command("models", "pull", "rembg:u2netp", "--offline").code == 0


@pytest.mark.model
def test_paths_and_checks_are_those_of_rembgs_folder(command: Command, installed: Path) -> None:
    for verb in ("path", "verify"):
        assert command("models", verb, "rembg:u2netp").paths == [installed]
    damage(installed)
    forget()
    refused = command("models", "verify", "rembg:u2netp")
    assert (refused.code, refused.out) == (11, "")
    assert "md5" in refused.err


@pytest.mark.model
@pytest.mark.parametrize("words", [(), ("--offline",)])
def test_damaged_weights_are_refused_and_can_only_be_fetched_again(
    words: tuple[str, ...], command: Command, installed: Path
) -> None:
    damage(installed)
    refused = command("prepare", MUG, "--model", "rembg:u2netp", "--pull", *words)
    assert (refused.code, refused.out) == (11, "")
    assert "copy u2netp.onnx into" in refused.err
    assert ("--offline forbids" in refused.err) == bool(words)
    assert ("rembg could not fetch it" in refused.err) != bool(words)
    with pytest.raises(ModelUnavailable, match=r"damaged: md5 .*models pull rembg:u2netp"):
        get_model("rembg:u2netp")(photo())


@pytest.mark.parametrize("pull", [(), ("--pull",), ("--pull", "--offline")])
def test_missing_weights_are_named_with_their_folder(pull: tuple[str, ...], command: Command, home: Path) -> None:
    missing = command("prepare", MUG, "--model", "rembg:silueta", *pull)
    assert (missing.code, missing.out) == (11, "")
    assert "silueta.onnx" in missing.err
    assert str(home) in missing.err
    assert ("rembg fetches the weights" in missing.err) == (pull == ("--pull",))


@pytest.mark.model
def test_rembgs_own_download_takes_whole_weights_and_not_damaged_ones(installed: Path) -> None:
    kind = rembg_sessions.import_all()["u2netp"]
    target = next(rembg_sessions.weights_paths(kind))
    target.parent.mkdir(parents=True, exist_ok=True)
    if target != installed:
        installed.rename(target)
    assert rembg_sessions.download(kind) == target
    damage(target)
    with pytest.raises(OSError, match="proxy"):  # it would replace them
        rembg_sessions.download(kind)


@pytest.mark.model
def test_weights_that_change_while_they_are_loaded(installed: Path) -> None:
    model = get_model("rembg:u2netp")
    assert model.sha256
    damage(installed)
    with pytest.raises(ModelUnavailable, match="changed while it was loaded"):
        model(photo())


@pytest.mark.model
@pytest.mark.usefixtures("installed")
def test_auto_never_picks_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PHOTIO_MODELS", str(tmp_path / "none"))
    forget()
    with pytest.raises(ModelUnavailable, match="no model is installed"):
        get_model("auto")(photo())


REFUSED = {
    "rembg:siluetta": "Did you mean rembg:silueta",
    "rembg:": "Choose one of: ",
    "rembg:U2NETP": "Choose one of: ",
    "rembg:sam": "Use --point or --box",
    "rembg:u2net_custom": "--model PATH --family",
    "rembg:dis_custom": "--model PATH --family",
    "rembg:ben_custom": "--model PATH --family",
    "rembg:bria-rmbg": "--accept-licence bria-rmbg",
}


@pytest.mark.parametrize("name", REFUSED)
def test_names_that_do_not_work_say_what_does(name: str) -> None:
    with pytest.raises(UsageError) as caught:
        get_model(name)
    assert REFUSED[name] in str(caught.value)
    assert caught.value.exit_code == 2


def test_what_would_send_the_photo_away_is_refused_and_not_offered() -> None:
    away = {
        name for name, kind in rembg_sessions.import_all().items() if hasattr(kind, "is_local") and not kind.is_local()
    }
    for name in away:
        with pytest.raises(UsageError, match="bills"):
            get_model(f"rembg:{name}")
    with pytest.raises(UsageError) as caught:
        get_model("rembg:none")
    assert not away & set(caught.value.fix.replace(",", "").split())


def test_every_other_session_opens_and_nearly_all_have_a_hash(home: Path) -> None:
    opened = []
    for name, kind in rembg_sessions.import_all().items():
        if not rembg_models._refusal(name, kind):
            model = get_model(f"rembg:{name}", accepted=(name,))
            assert isinstance(model, RembgModel)
            assert home in model.target.parents
            opened.append(rembg_sessions.published_hash(kind))
    assert len(opened) >= 14
    assert opened.count(None) <= 1  # the float16 BiRefNet, which rembg makes itself
    assert (
        rembg_sessions.published_hash(rembg_sessions.import_all()["u2netp"]) == "md5:8e83ca70e441ab06c318d82300c84806"
    )


def test_the_hashes_of_the_catalogue_are_rembgs() -> None:
    registry = rembg_sessions.import_all()
    for row in catalog.catalog():
        if row.md5 and row.name in registry:
            assert rembg_sessions.published_hash(registry[row.name]) == f"md5:{row.md5}"


def test_the_licence_is_the_catalogues_or_unknown() -> None:
    assert licence("rembg:silueta") == "unknown: ask its authors"
    assert licence("rembg:u2netp") == "Apache-2.0"


@pytest.mark.model
@pytest.mark.usefixtures("installed")
def test_a_blank_paper_is_no_warning() -> None:
    with warnings.catch_warnings(), np.errstate(all="raise"):
        warnings.simplefilter("error", RuntimeWarning)
        assert get_model("rembg:u2netp")(Image.new("RGB", (60, 40), "white")).size == (60, 40)


def save_clothes(file: Path) -> None:
    """A network with the inputs and outputs of u2net_cloth_seg: red, green and blue are three kinds of clothes."""
    classes = np.zeros((4, 3, 1, 1), np.float32)
    classes[1:, :, 0, 0] = np.eye(3)
    graph = helper.make_graph(
        [helper.make_node("Conv", ["picture", "classes"], ["clothes"])],
        "clothes",
        [helper.make_tensor_value_info("picture", TensorProto.FLOAT, [1, 3, 768, 768])],
        [helper.make_tensor_value_info("clothes", TensorProto.FLOAT, [1, 4, 768, 768])],
        initializer=[numpy_helper.from_array(classes, "classes")],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), file)


def test_of_several_masks_the_union_is_the_product(home: Path) -> None:
    save_clothes(home / "u2net_cloth_seg.onnx")
    clothes = rembg_sessions.import_all()["u2net_cloth_seg"]
    with pytest.raises(ModelUnavailable, match="damaged: md5"):
        get_model("rembg:u2net_cloth_seg")(photo())
    picture = Image.new("RGB", (120, 90))
    boxes = {"red": (5, 5, 35, 85), "lime": (45, 5, 75, 85), "blue": (85, 5, 115, 85)}
    for colour, box in boxes.items():
        picture.paste(colour, box)
    # Of a class that gives no hash, whatever is in its place is taken, and that is known.
    model = RembgModel("u2net_cloth_seg", rembg_sessions.with_weights(clothes, home / "u2net_cloth_seg.onnx"))
    alpha = model(picture)
    assert not model.file.checked
    assert [alpha.getpixel((x, 45)) for x in (20, 60, 100, 40, 80)] == [255, 255, 255, 0, 0]


@pytest.mark.model
@pytest.mark.usefixtures("installed")
@pytest.mark.parametrize("device", ["cuda", "coreml"])
def test_a_device_that_is_not_there_is_an_error(device: devices.Device) -> None:
    if device in devices.available_devices():
        pytest.skip("it is there")
    with pytest.raises(ModelUnavailable, match=f"--device {device}"):
        get_model("rembg:u2netp", device=device)(photo())


@pytest.mark.model
@pytest.mark.usefixtures("installed")
def test_openvino_takes_the_place_of_onnxruntime_in_the_session() -> None:
    if "openvino" not in devices.available_devices():
        pytest.skip("the extra openvino is not installed")
    theirs, ours = (get_model("rembg:u2netp", device=device) for device in ("cpu", "openvino"))
    assert ours.device == "openvino"
    apart = np.asarray(ours(photo()), dtype=int) - np.asarray(theirs(photo()))
    assert np.abs(apart).max() <= 2


@pytest.mark.model
def test_rembg_itself_is_not_imported(installed: Path, tmp_path: Path) -> None:
    check = "import atexit, sys; atexit.register(lambda: print({'rembg', 'numba'} & set(sys.modules), file=sys.stderr))"
    words = ("prepare", MUG, "--model", "rembg:u2netp", "-o", tmp_path / "out")
    done = alone(*words, before=check, U2NET_HOME=str(installed.parent))
    assert done.code == 0
    assert done.err.splitlines()[-1] == "set()"
