"""The page in a real browser: every task, two languages, versions, errors, keyboard."""

from __future__ import annotations

import functools
import itertools
import json
import urllib.parse
from collections.abc import Iterator

import pytest

from bert_keras.export.metrics import Metrics
from bert_keras.export.rest_requests import RestCalls
from bert_keras.export.rest_server import RestServer
from bert_keras.export.rest_site import Site
from bert_keras.export.web_page import respond
from tests.export.chromium import Browser, find_chromium
from tests.export.web_page_toys import toy_models

# Another query is another page, which is loaded anew.
_numbers = itertools.count()


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    found = toy_models(tmp_path_factory.mktemp("toys"))
    yield found
    for model in found.values():
        model.close()


@pytest.fixture(scope="module")
def url(models) -> Iterator[str]:
    """Where the page is: the development server's REST port."""
    calls = RestCalls(models, None, Metrics())
    site = Site(calls.answer, functools.partial(respond, models=models))
    server = RestServer("127.0.0.1", 0, 4, site)
    server.start()
    yield f"http://127.0.0.1:{server.port}/"
    server.stop_accepting()
    server.drain(0)


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    program = find_chromium()
    if program is None:
        pytest.skip("there is no Chromium: Debian's package chromium has one")
    browser = Browser(program)
    browser.resize(1000, 800)
    yield browser
    browser.close()


@pytest.fixture
def browser(chromium: Browser) -> Iterator[Browser]:
    """The browser, whose page must not complain of anything."""
    chromium.complaints.clear()
    yield chromium
    chromium.run("1")
    assert chromium.complaints == []


@pytest.fixture
def show(browser: Browser, url: str):
    """Opens the page anew at a model."""

    def open_(model: str) -> None:
        browser.open(f"{url}?{next(_numbers)}#{urllib.parse.quote(model, safe='')}")
        browser.wait("document.querySelector('#form .main')")

    return open_


def fill(browser: Browser, **texts: str) -> None:
    for field, text in texts.items():
        browser.run(f"document.getElementById('{field}').focus()")
        browser.type(text)


def ask(browser: Browser) -> str:
    """Presses the button, and waits for the answer: its first line."""
    browser.run("document.querySelector('#form .main').click()")
    browser.wait("document.querySelector('#timing').innerText")
    return browser.text("#summary")


def marked(browser: Browser, what: str) -> list[str]:
    """The parts of the text that are marked, without what is written beside them."""
    return browser.run(
        f"[...document.querySelectorAll('#marked {what}')].map(x => x.firstChild.textContent)"
    )


def texts(browser: Browser, selector: str) -> list[str]:
    script = f"[...document.querySelectorAll({json.dumps(selector)})].map(x => x.innerText)"
    return browser.run(script)


def choose(browser: Browser, selector: str, value: str) -> None:
    browser.run(
        f"(x => {{ x.value = {json.dumps(value)}; x.dispatchEvent(new Event('change')); }})"
        f"(document.querySelector('{selector}'))"
    )


def test_classification(browser, show):
    show("sentiment")
    assert browser.text("#task") == "classification"
    fill(browser, text="a good film")
    assert ask(browser) == "positive, 75.0 %"
    assert texts(browser, ".bars .name") == ["positive", "negative"]
    assert texts(browser, ".bars .number") == ["75.0 %", "25.0 %"]
    assert browser.run("document.querySelector('.bars i').style.width") == "75%"
    assert browser.text("#timing").startswith("answered in ")


def test_several_labels(browser, show):
    show("topics")
    assert ask(browser) == "战争, 90.0 %; art, 60.0 %"
    assert texts(browser, ".chosen .name") == ["✓ 战争\n(selected)", "✓ art\n(selected)"]
    names = "[...document.querySelectorAll('.bars li:not([hidden]) .name')].length"
    assert (browser.run(names), browser.text(".bars button")) == (8, "All 10")
    browser.run("document.querySelector('.bars button').click()")
    assert browser.run(names) == 10


def test_regression_of_pairs(browser, show):
    show("similarity")
    fill(browser, text="abcd", text_pair="😀")
    assert ask(browser) == "3.0000"
    fill(browser, text="nan")
    assert ask(browser) == "–"


@pytest.mark.parametrize(
    ("text", "names", "kinds"),
    [
        ("😀👍🏽 Ada Lovelace, in London!", ["Ada Lovelace", "London"], ["LOC × 1", "PER × 1"]),
        ("我在北京😀，北京很大。", ["北京", "北京"], ["LOC × 2"]),
        ("a\n<b>London</b>\nAda", ["London", "Ada"], ["LOC × 1", "PER × 1"]),
        ("nobody", [], []),
    ],
)
def test_entities_stand_where_they_are(browser, show, text, names, kinds):
    show("names")
    fill(browser, text=text)
    assert ask(browser) == (f"entities: {len(names)}" if names else "no entities")
    assert marked(browser, ".kind") == names
    assert texts(browser, "#legend .kind") == kinds
    whole = browser.run(
        "[...document.querySelector('#marked').childNodes]"
        ".map(x => x.nodeType === 3 ? x.data : x.firstChild.textContent).join('')"
    )
    assert whole == text


def test_words_of_a_tagger(browser, show):
    show("names")
    fill(browser, text="😀 London")
    ask(browser)
    browser.run("document.querySelector('#details details').open = true")
    rows = [row.split("\t") for row in texts(browser, "tbody tr")]
    assert rows == [["😀", "O", "50.0 %", "0–1"], ["London", "B-LOC", "50.0 %", "2–8"]]


def test_an_answer_is_marked_in_its_context(browser, show):
    show("squad")
    fill(browser, question="多少？", context="长城😀长 21000 公里，建于 1368 年。")
    assert ask(browser) == "21000, 60.0 %"
    assert marked(browser, "mark") == ["21000"]
    assert texts(browser, ".bars .name") == ["21000", "1368", "no answer"]
    browser.run("document.querySelectorAll('.bars button')[1].click()")
    assert marked(browser, "mark") == ["1368"]
    pressed = "[...document.querySelectorAll('.bars button')].map(x => x.ariaPressed)"
    assert browser.run(pressed) == ["false", "true", "false"]
    browser.run("document.querySelectorAll('.bars button')[2].click()")
    assert marked(browser, "mark") == []
    assert "-1.5000" in browser.text("#details")


def test_no_answer(browser, show):
    show("squad")
    fill(browser, context="nothing here")
    assert ask(browser) == "no answer, 60.0 %"
    assert marked(browser, "mark") == []


def test_choices(browser, show):
    show("endings")
    fill(browser, **{"choices-0": "no", "choices-1": "the longest <b>one</b>", "choices-2": "yes"})
    assert ask(browser) == "2. the longest <b>one</b>"
    browser.run("document.querySelectorAll('.item button')[1].click()")
    assert ask(browser) == "2. yes"
    assert browser.run("document.querySelector('.item button').disabled")
    browser.run("document.querySelector('[role=group] > button').click()")
    browser.type("the last one")
    assert ask(browser) == "3. the last one"


def test_similarity_of_sentences(browser, show):
    show("vectors")
    fill(browser, **{"text-0": "aab", "text-1": "aab猫", "text-2": "c"})
    assert ask(browser) == "closest: 1 and 2, 0.913"
    rows = [row.split("\t")[1:] for row in texts(browser, ".matrix tbody tr")]
    assert rows[0] == ["1.000", "0.913", "0.000"]
    assert "4 numbers" in browser.text("#details")


def test_tokens_for_a_mask(browser, show):
    show("words")
    fill(browser, text="two film [MASK] and [MASK]")
    assert ask(browser) == "##s, 50.0 %"
    assert browser.text("#marked") == "two films and [MASK]"
    browser.run("document.querySelectorAll('.bars button')[2].click()")
    assert browser.text("#marked") == "two film <i> and [MASK]"
    fill(browser, text="no ")
    browser.run("document.querySelector('#form .actions button:nth-child(2)').click()")
    fill_text = browser.run("document.querySelector('#text').value")
    assert fill_text == "[MASK]no " or fill_text == "no [MASK]"
    fill(browser, text="none")
    assert ask(browser) == "the text has no [MASK]"


def test_a_servable_of_no_known_task(browser, show):
    show("<b>odd</b> é/1")
    assert browser.text("h2") == "<b>odd</b> é/1"
    fill(browser, json='{"x": ["<img src=x onerror=alert(1)>"]}')
    ask(browser)
    assert "<img src=x onerror=alert(1)>" in browser.text("#details pre")
    fill(browser, json="{")
    browser.run("document.querySelector('#form .main').click()")
    browser.wait("document.querySelector('#error').innerText")
    assert "JSON" in browser.text("#error")


@pytest.mark.parametrize(
    "model", ["sentiment", "topics", "similarity", "names", "squad", "endings", "vectors", "words"]
)
def test_markup_in_a_text_stays_text(browser, show, model):
    attack = "<img src=x onerror='window.hurt=1'><script>window.hurt=1</script>[MASK] 7"
    show(model)
    fields = browser.run("[...document.querySelectorAll('#form textarea')].map(x => x.id)")
    fill(browser, **{field: attack for field in fields})
    ask(browser)
    assert browser.run("window.hurt === undefined && !document.querySelector('main img')")
    assert "<img src=x onerror='window.hurt=1'>" in browser.run(
        "[...document.querySelectorAll('textarea')].map(x => x.value).join() "
    )
    for details in range(browser.run("document.querySelectorAll('details').length")):
        browser.run(f"document.querySelectorAll('details')[{details}].open = true")
    assert "<script>" in browser.text("#details")


def test_an_error_of_the_server_is_shown(browser, show):
    show("sentiment")
    ask(browser)
    fill(browser, text="refuse")
    browser.run("document.querySelector('#form .main').click()")
    browser.wait("document.querySelector('#error').innerText")
    assert browser.text("#error") == "HTTP 400: <b>refused</b> as asked"
    assert browser.run("document.querySelector('#error').getAttribute('role')") == "alert"
    assert browser.run("document.querySelector('#answer').hidden")
    fill(browser, text="good")
    assert ask(browser) == "positive, 75.0 %"
    assert browser.text("#error") == ""


def test_a_server_that_is_gone(browser, show):
    show("sentiment")
    look = "document.dispatchEvent(new Event('visibilitychange'))"
    browser.run("window.real = window.fetch; window.fetch = () => Promise.reject(Error('gone'))")
    browser.run(look)
    browser.wait("document.querySelector('#lost').innerText === 'The server cannot be reached.'")
    browser.run("document.querySelector('#form .main').click()")
    browser.wait("document.querySelector('#error').innerText === 'gone'")
    browser.run(f"window.fetch = window.real; {look}")
    browser.wait("document.querySelector('#lost').innerText === ''")


def test_versions_and_labels(browser, show):
    show("names")
    assert texts(browser, "#version option") == ["newest (2)", "stable (2)", "2"]
    expected = "version 9007199254740993: not loaded: no <b>saved_model.pb</b>"
    assert browser.text("#states") == expected
    show("sentiment")
    newest = "9007199254740993"
    assert texts(browser, "#version option") == [f"newest ({newest})", "stable (2)", newest, "2"]
    for value, place in (("labels/stable",) * 2, (f"versions/{newest}",) * 2, ("", "")):
        choose(browser, "#version", value)
        ask(browser)
        browser.run("document.querySelector('#details details:last-child').open = true")
        call = browser.text("#details pre")
        assert f"/v1/models/sentiment{place and '/' + place}:predict" in call


def test_models_come_and_go(browser, show, models):
    show("sentiment")
    fill(browser, text="what I type")
    model = models.pop("words")
    look = "document.dispatchEvent(new Event('visibilitychange'))"
    try:
        browser.run(look)
        browser.wait("document.querySelectorAll('#models a').length === 8")
        assert browser.run("document.querySelector('#text').value") == "what I type"
    finally:
        models["words"] = model
    browser.run(look)
    browser.wait("document.querySelectorAll('#models a').length === 9")


def test_chinese(browser, show):
    show("sentiment")
    assert browser.run("document.documentElement.lang") == "en"
    choose(browser, "#language", "zh")
    assert browser.run("document.documentElement.lang") == "zh"
    assert browser.text("#form .main") == "提问"
    assert browser.text("#task") == "分类"
    browser.run("document.querySelector('#form button[lang=zh]').click()")
    assert ask(browser) == "positive, 75.0 %"
    assert browser.text("#timing").startswith("用时")
    show("topics")
    assert browser.text("#form .main") == "提问"
    choose(browser, "#language", "en")
    show("topics")
    assert browser.text("#form .main") == "Ask"


def test_by_keyboard_alone(browser, show):
    show("squad")
    browser.run("document.querySelector('#skip').focus()")
    browser.press("Enter")
    for field in ("", "", "question", "context"):
        browser.press("Tab")
        assert browser.run("document.activeElement.id") == field
    browser.type("there are 12 of 34")
    browser.press("Enter", control=True)
    browser.wait("document.querySelector('#timing').innerText")
    assert browser.text("#summary") == "12, 60.0 %"
    while "34" not in browser.run("document.activeElement.innerText ?? ''"):
        browser.press("Tab")
        assert browser.run("document.activeElement !== document.body")
    while browser.run("document.activeElement.type") != "button":
        browser.press("Tab")
    browser.press("Tab")
    browser.press(" ")
    assert marked(browser, "mark") == ["34"]
    while browser.run("document.activeElement.getAttribute('href')") != "#words":
        browser.press("Tab")
    browser.press("Enter")
    browser.wait("document.querySelector('h2').innerText === 'words'")


def test_attention_on_request(browser, show):
    show("sentiment")
    fill(browser, text="<b>a</b> good 电影")
    ask(browser)
    assert browser.run("document.querySelector('#attention').childNodes.length") == 0
    browser.run("document.querySelector('#details details').open = true")
    browser.wait("document.querySelector('#attention .tokens')")
    tokens = ["[CLS]", "<b>a</b>", "good", "电影", "[SEP]"]
    assert texts(browser, "#attention button") == tokens
    assert texts(browser, "#attention-layer option") == ["1", "2"]
    assert texts(browser, "#attention-head option") == ["1", "2", "3", "4"]

    def seen() -> list[str]:
        return [text.split()[-2] for text in texts(browser, "#to li")]

    assert seen() == ["100.0", "0.0", "0.0", "0.0", "0.0"]
    choose(browser, "#attention-head", "1")
    browser.wait("document.querySelectorAll('#to small')[1].innerText === '100.0 %'")
    choose(browser, "#attention-layer", "1")
    browser.wait("document.querySelectorAll('#to small')[0].innerText === '100.0 %'")
    browser.run("document.querySelectorAll('#attention button')[1].click()")
    assert seen() == ["0.0", "100.0", "0.0", "0.0", "0.0"]
    assert len(texts(browser, ".heat tbody td")) == 25
    show("topics")
    ask(browser)
    assert browser.run("document.querySelector('#attention')") is None


@pytest.mark.parametrize(("width", "dark"), [(360, False), (360, True), (1200, False)])
def test_it_fits_a_phone_and_can_be_read(browser, show, width, dark):
    browser.resize(width, 700, dark=dark)
    try:
        for model in ("vectors", "squad", "sentiment"):
            show(model)
            ask(browser)
            assert browser.run("document.documentElement.scrollWidth") <= width
            contrasts = browser.run(_CONTRASTS)
            assert min(contrasts.values()) >= 4.5, contrasts
    finally:
        browser.resize(1000, 800)


@pytest.mark.slow
def test_a_real_model_on_the_server(browser, tmp_path):
    from bert_keras.export import ModelServer, saved_model
    from tests import small

    model = small.classifier()
    saved_model.save(model, tmp_path / "model" / "1", attention=True)
    server = ModelServer({"model": tmp_path / "model"}, host="127.0.0.1", rest_port=0)
    server.start(timeout=120)
    try:
        browser.open(f"http://127.0.0.1:{server.rest_port}/")
        browser.wait("document.querySelector('#form .main')")
        fill(browser, text="the film was good 😀!")
        (expected,) = model.predict(["the film was good 😀!"])
        assert ask(browser) == f"{expected.label}, {100 * expected.scores[expected.label]:.1f} %"
        browser.run("document.querySelector('#details details').open = true")
        browser.wait("document.querySelector('#attention .tokens')")
        tokens = ["[CLS]", "the", "film", "was", "good", "[UNK]", "!", "[SEP]"]
        assert texts(browser, "#attention button") == tokens
        seen = [float(text.split()[-2]) for text in texts(browser, "#to li")]
        assert sum(seen) == pytest.approx(100, abs=0.5)
        choose(browser, "#attention-layer", "1")
        browser.wait("document.querySelector('#attention-layer').value === '1'")
    finally:
        server.stop(grace=0)


# Of texts on what is behind them, by WCAG 2.
_CONTRASTS = """(() => {
  const canvas = document.createElement("canvas").getContext("2d", {willReadFrequently: true});
  const light = color => {
    canvas.clearRect(0, 0, 1, 1);
    canvas.fillStyle = color;
    canvas.fillRect(0, 0, 1, 1);
    const [r, g, b] = [...canvas.getImageData(0, 0, 1, 1).data].map(x => x / 255)
      .map(x => x <= 0.04045 ? x / 12.92 : ((x + 0.055) / 1.055) ** 2.4);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const behind = element => {
    const color = getComputedStyle(element).backgroundColor;
    return color === "rgba(0, 0, 0, 0)" ? behind(element.parentElement) : color;
  };
  const found = {};
  for (const selector of ["h1", "h2", "header p", "nav a", "nav small", ".tag", "textarea",
                          "#form .main", "#form button", ".faint", "summary", "#summary", "mark"]) {
    for (const element of document.querySelectorAll(selector)) {
      const [a, b] = [light(getComputedStyle(element).color), light(behind(element))];
      const contrast = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
      found[selector] = Math.min(contrast, found[selector] ?? 99);
    }
  }
  return found;
})()"""
