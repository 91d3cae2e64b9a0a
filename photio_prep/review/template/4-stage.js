// One photo, in four views.
const stage = $("stage");
const TABS = [1, 2, 3, 4].map((number) => $(`tab-${number}`));
const GROUNDS = ["check", "white", "black"];
let view = rows.some((row) => row.pictures.final || row.pictures.answer) ? 4 : 1;
const seen = { outline: true, full: false, drift: false, cut: 50, ...store.get("seen", {}) };
seen.full = seen.drift = false;
if (!GROUNDS.includes(seen.ground)) seen.ground = "check";

function show(row) {
  stage.className = seen.full ? "full" : "";
  stage.scrollTop = stage.scrollLeft = 0;
  TABS.forEach((tab, at) => {
    tab.setAttribute("aria-selected", String(at + 1 === view));
    tab.tabIndex = at + 1 === view ? 0 : -1;
  });
  stage.setAttribute("aria-labelledby", `tab-${view}`);
  $("name").replaceChildren(...(row ? [named(row.name)] : []));
  $("badges").replaceChildren(...(row ? badges(row) : []));
  $("tools").replaceChildren(...(row ? tools(row) : []));
  buttons(row);
  $("facts").replaceChildren(...(row ? facts(row) : []));
  if (!row) stage.replaceChildren(make("p", "none", {}, "No photo is chosen."));
  else if (row.state === "damaged") stage.replaceChildren(make("p", "none", {}, row.why));
  else stage.replaceChildren(...[photoView, cutoutView, sentView, compareView][view - 1](row));
  fetchNext();
}

function buttons(row) {
  for (const [id, word] of [["approve", "approved"], ["reject", "rejected"]]) {
    $(id).disabled = !row?.key;
    $("before").disabled = chosen < 1;
    $("next").disabled = chosen + 1 >= found.length;
    $(id).setAttribute("aria-pressed", String(Boolean(row) && decided(row) === word));
  }
}

function tools(row) {
  const made = [];
  const toggle = (text, name, key) => {
    const button = make("button", "", { type: "button", title: `${text} (${key})` }, text);
    button.setAttribute("aria-pressed", String(seen[name]));
    button.addEventListener("click", () => flip(name));
    made.push(button);
  };
  if (view === 1) toggle("Outline", "outline", "o");
  if (view === 2 || (view === 4 && !row.pictures.final && !row.pictures.answer)) made.push(swatches());
  if (view === 4 && row.pictures.drift) toggle("Drift", "drift", "d");
  if (view !== 3) toggle("Full size", "full", "z");
  return made;
}

function swatches() {
  const group = make("div", "swatches", { role: "group", "aria-label": "Background" });
  for (const each of GROUNDS) {
    const button = make("button", `swatch ${each}`, { type: "button", title: `${each} (b)`, "aria-label": `${each} background` });
    button.setAttribute("aria-pressed", String(seen.ground === each));
    button.addEventListener("click", () => ground(each));
    group.append(button);
  }
  return group;
}

function ground(name) {
  seen.ground = name;
  store.set("seen", seen);
  show(found[chosen]);
}

function flip(name) {
  seen[name] = !seen[name];
  store.set("seen", seen);
  show(found[chosen]);
}

/** A frame of a picture's proportions that fits the stage, or holds it in full size. */
function frame(size, classes = "") {
  return styled(make("div", `frame ${classes}`), { "--w": size[0], "--h": size[1], "--px": size[0] / devicePixelRatio });
}

function cell(framed, caption) {
  return make("div", "cell", {}, make("div", "room", {}, framed), make("p", "caption", {}, caption));
}

const by = (size) => `${size[0]} × ${size[1]}`;

/** The photo itself in full size where it still lies, else as it was kept. */
function photo(row) {
  const { photo, shown, overlay } = row.pictures;
  if (!photo && !shown && overlay) return picture(overlay, `photo ${row.name}, with the product's outline`, { classes: "half" });
  const small = shown && !seen.full && view === 1;
  return picture(small ? shown : photo, `photo ${row.name}`, { other: shown, size: small ? null : row.size });
}

function photoView(row) {
  const framed = frame(row.size);
  if (!row.pictures.photo && !row.pictures.shown && !row.pictures.overlay) return [make("p", "none", {}, "The photo is not at its place, and the order keeps no copy.")];
  framed.append(photo(row));
  if (seen.outline && row.pictures.cutout) framed.append(picture(row.pictures.cutout, "", { classes: "line" }));
  const what = seen.outline ? "The photo, with the outline of what was cut out" : "The photo";
  return [cell(framed, `${what}, ${by(row.size)}`)];
}

function cutoutView(row) {
  if (!row.pictures.cutout) return [make("p", "none", {}, "The order keeps no cutout.")];
  const framed = frame(row.size, seen.ground);
  framed.append(picture(row.pictures.cutout, `cutout of ${row.name}`));
  return [cell(framed, `The cutout${row.model ? `, by ${row.model}` : ""}`)];
}

/** Beside each other or one above the other: whatever shows two pictures of this size larger. */
function two(size) {
  const { clientWidth: width, clientHeight: height } = stage, ratio = size[0] / size[1];
  const beside = Math.min(width / 2, height * ratio), above = Math.min(width, (height / 2) * ratio);
  stage.className = beside >= above ? "two" : "two above";
}

function sentView(row) {
  two(row.canvas);
  const sent = frame(row.canvas, "check");
  const [left, top, right, bottom] = row.box, [width, height] = row.canvas;
  const part = (classes, x, y, w, h) => styled(make("div", classes), {
    left: `${(100 * x) / width}%`, top: `${(100 * y) / height}%`, width: `${(100 * w) / width}%`, height: `${(100 * h) / height}%`,
  });
  sent.append(picture(row.pictures.canvas, row.url ? `the canvas of ${row.name}, which is not sent` : `exactly what is sent for ${row.name}`));
  for (const [x, y, w, h] of [[0, 0, width, top], [0, bottom, width, height - bottom], [0, top, left, bottom - top], [right, top, width - right, bottom - top]]) {
    if (w > 0 && h > 0) sent.append(part("pad", x, y, w, h));
  }
  sent.append(part("box", left, top, right - left, bottom - top));
  if (row.product) {
    const [x, y, far, low] = row.product;
    sent.append(part("box product", x, y, far - x, low - y));
  }
  const what = row.url ? `the picture at ${row.url}, not this canvas of ` : "";
  const told = `${row.state === "planned" ? "Will be" : "Was"} sent: ${what}${by(row.canvas)} ${row.tag}; ${row.lost ? `hatched is padding (${row.lost})` : "no padding"}; magenta is the product's box`;
  const got = frame(row.canvas);
  if (!row.pictures.answer) return [cell(sent, told), make("div", "cell", {}, make("p", "none", {}, row.why || "No answer yet."))];
  got.append(picture(row.pictures.answer, `answer for ${row.name}`), ...ribbon(row));
  return [cell(sent, told), cell(got, `The answer, by ${row.provider}`)];
}

function ribbon(row, side = "right") {
  return row.sandbox ? [make("span", `ribbon ${side}`, {}, "Sandbox: not a paid result")] : [];
}

function compareView(row) {
  if (seen.drift && row.pictures.drift) {
    const framed = frame(row.canvas), drift = picture(row.pictures.drift, `where the product was changed in ${row.name}`);
    drift.addEventListener("load", () => styled(framed, { "--w": drift.naturalWidth, "--h": drift.naturalHeight, "--px": drift.naturalWidth }));
    framed.append(drift);
    return [cell(framed, "Drift: where the generator changed the product")];
  }
  const { final, answer, cutout } = row.pictures;
  const framed = frame(row.size, final || answer ? "" : seen.ground);
  const after = make("div", `after frame ${final || answer ? "" : seen.ground}`);
  const caption = make("span", "", {}, "Before: the photo · after: the cutout (no answer yet)");
  if (final) {
    const shown = picture(final, `final of ${row.name}`, { other: answer });
    // A final may be of another size than the photo, and of another shape.
    shown.addEventListener("load", () => {
      const size = [shown.naturalWidth, shown.naturalHeight];
      caption.textContent = `Before: the photo, ${by(row.size)} · after: the final${page.embedded ? "" : `, ${by(size)}`}`;
      const other = Math.abs((size[0] * row.size[1]) / (size[1] * row.size[0]) - 1) > 0.02;
      styled(shown, { "object-fit": other ? "contain" : "fill" });
    });
    after.append(shown);
    caption.textContent = "Before: the photo · after: the final";
  } else if (answer) {
    // The part of the answer that is the photo's, as it will be cropped.
    const [left, top, right, bottom] = row.box, [width, height] = row.canvas;
    after.append(styled(picture(answer, `answer for ${row.name}`), {
      width: `${(100 * width) / (right - left)}%`, height: `${(100 * height) / (bottom - top)}%`, inset: "auto",
      left: `${(-100 * left) / (right - left)}%`, top: `${(-100 * top) / (bottom - top)}%`, "max-width": "none",
    }));
    caption.textContent = "Before: the photo · after: the answer, not finished yet";
  } else if (cutout) after.append(picture(cutout, `cutout of ${row.name}`));
  framed.append(photo(row), after, ...(final || answer ? ribbon(row) : []));
  const slide = make("input", "slide", { type: "range", min: 0, max: 100, step: 0.5, "aria-label": "Before and after" });
  slide.value = seen.cut;
  const cut = () => {
    seen.cut = Number(slide.value);
    styled(framed, { "--cut": `${seen.cut}%` });
    slide.setAttribute("aria-valuetext", `${Math.round(seen.cut)} percent before`);
  };
  slide.addEventListener("input", cut);
  cut();
  framed.append(slide, make("div", "handle"));
  return [cell(framed, caption)];
}

/** What the next photo shows first, so that it is there when j is pressed. */
function fetchNext() {
  const next = found[chosen + 1]?.pictures;
  if (!next) return;
  for (const url of view === 4 ? [next.final || next.answer, next.photo || next.shown] : view === 3 ? [next.canvas, next.answer] : [next.shown, next.cutout]) {
    if (url) new Image().src = url;
  }
}

function pairs(entries) {
  return make("dl", "", {}, ...entries.filter(([, value]) => value !== "" && value != null).flatMap(([name, value]) => [make("dt", "", {}, name), make("dd", "", {}, value)]));
}

function facts(row) {
  const made = [];
  const section = (head, ...children) => made.push(make("h3", "", {}, head), ...children);
  const risk = row.risk ? [make("p", "words", {}, `Probability that the cutout is wrong: ${row.risk}`)] : [];
  if (row.reasons.length) {
    const marks = { stop: ["stop", "bad"], warn: ["warn", "warn"], ok: ["note"] };
    section("Gate", ...risk, ...row.reasons.map((each) => make("div", "reason", {}, badge(...marks[each.verdict]), make("span", "", {}, each.text))));
  } else if (row.key) section("Gate", ...risk, make("p", "", {}, row.judged ? "Nothing to complain of." : "Never judged."));
  if (row.why) section("What happened", make("p", "words", {}, row.why));
  if (row.warnings.length) section("Warnings", ...row.warnings.map((each) => make("p", "words", {}, each)));
  if (row.measured.length) section("Final", pairs(row.measured));
  if (!row.key) return made;
  section("Scene description", make("p", "words", {}, row.description || "None yet: give one with generate -d."));
  if (row.negative) section("Negative prompt", make("p", "words", {}, row.negative));
  section("Order", pairs([
    ["State", row.state], ["Cost", row.cost], ["Seed", `${row.seed}${row.drawn ? " (drawn)" : ""}`],
    ["Size sent", `${by(row.canvas)} ${row.tag}`], ["Padding", row.lost ? `${row.lost} of it` : "none"], ["Photo", `${by(row.size)} ${row.format}`],
    ["Model", [row.model, row.device].filter(Boolean).join(", ")], ["Provider", row.provider], ["Prepared", row.created.replace("T", " ").replace("+00:00", " UTC")],
    ["Folder", make("code", "", {}, row.folder)], ["Key", make("code", "", {}, row.key)],
  ]));
  if (row.figures.length) made.push(make("details", "", {}, make("summary", "", {}, "All figures of the gate"), pairs(row.measures.map((name, at) => [name, row.figures[at]]))));
  return made;
}
