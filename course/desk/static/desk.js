// The reading desk in the browser: shows one answer, and sends each keystroke as it comes. Nothing is kept here but what
// is on the screen; what students wrote arrives sanitised, everything else is set as text.

const at = (id) => document.getElementById(id);
const POLL = 4000; // milliseconds between two looks at what others did

let sheet = null; // the question, as the server sent it
let state = null; // where its answers stand
let here = 0; // index of the answer that is shown
let busy = 0; // keystrokes on their way
let queue = Promise.resolve(); // the last of them
let edited = false; // the comment was changed and not sent yet
let hiding = 0;

async function ask(path, body) {
  const how = body && {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify(body),
  };
  let response;
  try {
    response = await fetch(path, how || {});
  } catch {
    throw new Error("course read does not answer: was it ended? Start it again; what you marked is kept.");
  }
  const said = await response.json();
  if (!response.ok) throw new Error(said.error);
  return said;
}

const asked = () => new URLSearchParams({ lesson: sheet.lesson, question: sheet.question });
const answer = () => sheet.answers[here];
const row = (one = answer()) => (one && state.rows[one.id]) || {};
const points = (number) => `${number} ${number === 1 ? "point" : "points"}`;

function say(text, alert = false) {
  at("said").textContent = text;
  at("said").className = alert ? "shown alert" : "shown";
  clearTimeout(hiding);
  hiding = setTimeout(() => at("said").classList.remove("shown"), alert ? 9000 : 3500);
}

function element(tag, text, more = {}) {
  const made = Object.assign(document.createElement(tag), more);
  if (text !== undefined) made.textContent = text;
  return made;
}

function html(markup, tag = "div") {
  const made = element(tag, undefined, { className: "prose" });
  made.innerHTML = markup; // sanitised by course.markup
  return made;
}

// What an answer may be marked together with: equal ones that still wait for this reader, or stand as this one does.
function equals() {
  return answer() ? sheet.answers.filter((one) => one.same === answer().same && one !== answer() && !row(one).read) : [];
}

async function choose(lesson, question) {
  sheet = await ask(`api/question?${new URLSearchParams({ lesson, question })}`);
  state = sheet.state;
  history.replaceState(null, "", `#${lesson}/${question}`);
  at("title").textContent = `${sheet.title} (${points(sheet.points)})`;
  at("text").innerHTML = sheet.text;
  at("sample").innerHTML = sheet.sample;
  at("notes").innerHTML = sheet.notes;
  at("notes-box").hidden = !sheet.notes;
  at("reader").textContent = at("reader").title = `${sheet.reader} reads ${sheet.share_means}`;
  at("points").max = sheet.points;
  at("levels").replaceChildren(...sheet.levels.map(level));
  for (const option of at("questions").options) option.selected = option.value === `${lesson}/${question}`;
  here = Math.max(0, sheet.answers.findIndex((one) => !row(one).read));
  show();
}

function level({ points: worth, text, key }) {
  const button = element("button", undefined, { className: "level", type: "button" });
  button.dataset.points = worth;
  const left = element("span", undefined, { className: "left" });
  left.append(element("b", points(worth)));
  if (key) left.append(element("kbd", key));
  button.append(left, html(text, "span"));
  button.addEventListener("click", () => mark(worth));
  return button;
}

function show() {
  const one = answer();
  at("answer").replaceChildren();
  if (one) {
    at("answer").append(html(one.text));
    if (one.cut) at("answer").append(element("p", "(The answer goes on; the whole of it is in the Formgrader.)"));
    at("place").textContent = `${one.id} · ${here + 1} of ${sheet.answers.length} · ${one.words} words`;
  } else {
    at("answer").append(element("p", "Nobody’s answer to this question is to be read."));
    at("place").textContent = "";
  }
  at("comment").value = row().mine ? row().mine.comment : row().comment || "";
  edited = false;
  at("same").checked = false;
  at("settle").checked = Boolean(row().differ);
  likes();
  update();
}

function likes() {
  const one = answer();
  const near = one ? sheet.answers.filter((o) => o.group === one.group && o.same !== one.same) : [];
  at("alike").hidden = !near.length;
  at("alike").querySelector("summary").textContent =
    near.length === 1 ? "1 answer is much like this one" : `${near.length} answers are much like this one`;
  at("alike").querySelector("div").replaceChildren(
    ...near.slice(0, 20).map((o) => {
      const made = element("article");
      const given = row(o).score;
      const head = element("header", `${o.id}, ${Math.round(o.percent)} % like the first of its kind${given == null ? "" : `, ${points(given)}`}`);
      made.append(head, html(o.text));
      return made;
    }),
  );
}

// What changes while one reads: where answers stand, how far one is, what others did.
function update() {
  const now = row();
  at("bar").max = Math.max(1, state.of);
  at("bar").value = state.read;
  const left = state.read === state.of ? "all read" : `about ${state.minutes} min left`;
  const blank = sheet.blank ? ` · ${sheet.blank} left blank: 0` : "";
  at("progress").textContent = `${state.read} of ${state.of} · ${left}${blank}`;
  at("answer").classList.toggle("read", Boolean(now.read));
  at("stands").replaceChildren(...stands(now));
  for (const button of at("levels").children) {
    const given = now.mine ? now.mine.score : now.score;
    const is = given !== null && given !== undefined && Number(button.dataset.points) === given;
    button.classList.toggle("given", is);
    button.setAttribute("aria-pressed", String(is));
    button.disabled = !answer();
  }
  const same = equals();
  at("same-line").hidden = !same.length;
  at("same-text").textContent = same.length === 1 ? "mark the 1 equal answer, too" : `mark the ${same.length} equal answers, too`;
  at("settle-line").hidden = !(now.differ || now.settled);
  at("undo").disabled = !state.undo;
  at("comments").replaceChildren(...state.comments.map(reuse));
  at("readers-box").hidden = !state.agreements.length && !state.differ;
  at("agreements").replaceChildren(...state.agreements.map(agreement));
  at("differ").hidden = !state.differ;
  at("differ").textContent = state.differ === 1 ? "Go to the 1 answer on which they differ" : `Go through the ${state.differ} answers on which they differ`;
  const option = at("questions").selectedOptions[0];
  if (option) option.textContent = `${option.dataset.title} (${state.read} of ${state.of})`;
}

function stands(now) {
  if (!answer()) return [];
  const said = [];
  if (now.again) said.push("It was graded anew since, and waits to be read again. ");
  if (now.mine) said.push("You gave ", element("b", points(now.mine.score)), ". ");
  for (const [who, score] of Object.entries(now.others || {})) said.push(`${who} gave `, element("b", points(score)), ". ");
  if (now.score !== null && now.score !== undefined)
    said.push(`${points(now.score)} ${now.score === 1 ? "counts" : "count"}${now.whose ? `: the mark of ${now.whose}` : ""}.`);
  if (now.lost) said.push("The gradebook holds no mark for it any more: give it again.");
  else if (now.differ) said.push(" The last one counts until somebody decides.");
  return said.length ? said : ["Not read yet."];
}

function agreement({ readers, answers, equal, kappa }) {
  const worth = kappa === null ? "kappa says nothing here: all marks are one and the same" : `Cohen’s kappa ${kappa.toFixed(2)}`;
  return element("p", `${readers.join(" and ")}: ${equal} of ${answers} alike, ${worth}.`);
}

function reuse(text) {
  const button = element("button", text, { className: "reuse", type: "button", title: text });
  button.addEventListener("click", () => {
    const box = at("comment");
    if (!box.value.includes(text)) box.value = box.value ? `${box.value.trimEnd()}\n\n${text}` : text;
    commented();
  });
  return button;
}

// A comment on an answer that this reader has marked goes with the same mark again, at once.
async function commented() {
  edited = true;
  const mine = row().mine;
  if (mine && mine.comment !== at("comment").value) await mark(mine.score, false);
}

// One keystroke after the other: none is lost while another is on its way.
function once(work) {
  busy += 1;
  queue = queue
    .then(work)
    .catch((error) => say(error.message, true))
    .finally(() => {
      busy -= 1;
    });
  return queue;
}

// What is marked is what stood on the screen when the key was pressed, wherever one is by the time it is sent.
function mark(score, go = true) {
  const one = answer();
  if (!one) return queue;
  const together = [one, ...(go && at("same").checked ? equals() : [])];
  const answers = Object.fromEntries(together.map((each) => [each.id, each.digest]));
  const settles = !at("settle-line").hidden && at("settle").checked;
  const comment = at("comment").value;
  edited = false;
  return once(async () => {
    state = await ask("api/mark", { lesson: sheet.lesson, question: sheet.question, answers, score, comment, settles });
    say(`${together.map((each) => each.id).join(", ")}: ${points(score)} · u takes it back`);
    if (go && one === answer()) {
      unread();
      at("answer").focus({ preventScroll: true }); // a level that was clicked must not take the next Enter for a mark
    } else update();
  });
}

function undo() {
  return once(async () => {
    const said = await ask("api/undo", { lesson: sheet.lesson, question: sheet.question });
    state = said.state;
    const back = sheet.answers.findIndex((one) => one.id === said.answers[0]);
    if (back >= 0) here = back;
    show();
    at("answer").focus({ preventScroll: true });
    say(`${said.answers.join(", ")}: taken back${said.note ? `; ${said.note}` : ""}`);
  });
}

function move(by) {
  if (!sheet || !sheet.answers.length) return;
  here = (here + by + sheet.answers.length) % sheet.answers.length;
  show();
}

// The next that is unread after this one, round to the beginning.
function unread(wanted = (one) => !row(one).read) {
  const count = sheet.answers.length;
  for (let step = 1; step <= count; step += 1) {
    const index = (here + step) % count;
    if (wanted(sheet.answers[index])) {
      here = index;
      show();
      window.scrollTo({ top: 0 });
      return;
    }
  }
  show();
  if (!pending()) once(async () => finished(await waiting()));
}

const pending = () => sheet.answers.some((one) => !row(one).read);
const finished = (next) => say(next ? `Every answer to this question is read. Enter goes on to: ${next.title}` : "Every answer of your share is read.");

// The next question, round to the beginning, of which something is still to be read; nothing if all are done.
async function waiting() {
  const { questions } = await ask("api/questions");
  const index = questions.findIndex((one) => one.lesson === sheet.lesson && one.question === sheet.question);
  return [...questions.slice(index + 1), ...questions.slice(0, index)].find((one) => one.read < one.of);
}

// The next unread answer; where this question has none left, the next question that has.
function onward() {
  if (pending()) return unread();
  return once(async () => {
    const next = await waiting();
    if (next) await choose(next.lesson, next.question);
    else finished(next);
  });
}

async function look() {
  if (!sheet || busy || document.hidden) return;
  try {
    const fresh = await ask(`api/question?${asked()}&state=1`);
    if (busy) return;
    state = fresh;
    const known = new Map(sheet.answers.map((one) => [one.id, one.digest]));
    const ids = Object.keys(state.rows);
    if (ids.length !== known.size || ids.some((id) => known.get(id) !== state.rows[id].digest)) {
      if (!edited) await choose(sheet.lesson, sheet.question);
    } else update();
  } catch (error) {
    say(error.message, true);
  }
}

function toggle(id) {
  const box = at(id);
  if (!box.hidden && !box.closest("[hidden]")) box.checked = !box.checked;
}

function unfold(id) {
  at(id).open = !at(id).open;
  if (at(id).open) at(id).scrollIntoView({ block: "nearest" }); // it may have opened below what is seen
}

const KEYS = {
  Enter: onward,
  ArrowLeft: () => move(-1),
  ArrowRight: () => move(1),
  u: undo,
  g: () => toggle("same"),
  d: () => toggle("settle"),
  c: () => at("comment").focus(),
  s: () => unfold("sample-box"),
  m: () => unfold("notes-box"),
  "?": () => at("help").showModal(),
};

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || at("help").open || !sheet) return;
  const typing = event.target.closest("textarea, input[type=number], select");
  if (typing) {
    if (event.key === "Escape") typing.blur();
    return;
  }
  if (event.key === "Enter" && event.target.closest("button, summary, a")) return; // they do what they are for
  const chosen = sheet.levels.find((one) => one.key && one.key === event.key);
  const work = chosen ? () => mark(chosen.points) : KEYS[event.key];
  if (!work || (event.repeat && (chosen || event.key === "u"))) return;
  event.preventDefault();
  work();
});

at("previous").addEventListener("click", () => move(-1));
at("next").addEventListener("click", () => move(1));
at("unread").addEventListener("click", onward);
at("undo").addEventListener("click", undo);
at("differ").addEventListener("click", () => unread((one) => row(one).differ));
at("help-button").addEventListener("click", () => at("help").showModal());
at("comment").addEventListener("input", () => {
  edited = true;
});
at("comment").addEventListener("change", commented);
at("other").addEventListener("submit", (event) => {
  event.preventDefault();
  if (at("points").value !== "" && at("points").checkValidity()) mark(Number(at("points").value));
  at("points").value = "";
  at("points").blur();
});
at("questions").addEventListener("change", () => {
  const [lesson, question] = at("questions").value.split("/");
  at("questions").blur();
  once(() => choose(lesson, question));
});
setInterval(look, POLL);

once(async () => {
  const { questions, first } = await ask("api/questions");
  at("questions").replaceChildren(
    ...questions.map((one) => {
      const option = element("option", `${one.title} (${one.read} of ${one.of})`);
      option.value = `${one.lesson}/${one.question}`;
      option.dataset.title = one.title;
      return option;
    }),
  );
  const named = decodeURIComponent(location.hash.slice(1)).split("/");
  const known = questions.some((one) => one.lesson === named[0] && one.question === named[1]);
  const [lesson, question] = known ? named : first;
  await choose(lesson, question);
});
