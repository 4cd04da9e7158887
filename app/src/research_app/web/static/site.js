// Nothing here is needed: every page works without it.
"use strict";

// "/" goes to the search box, as in many catalogues
document.addEventListener("keydown", (event) => {
  const typing = event.target.closest("input, textarea, select, [contenteditable]");
  if (event.key !== "/" || typing || event.ctrlKey || event.metaKey || event.altKey) return;
  const box = document.getElementById("q");
  if (box) {
    event.preventDefault();
    box.focus();
    box.select();
  }
});

// browsers that cannot show closed details on wide screens (site.css) get them open
const wide = window.matchMedia("(min-width: 56rem)");
const arrange = () => {
  for (const details of document.querySelectorAll("details.filters")) {
    if (wide.matches && !CSS.supports("selector(::details-content)")) details.open = true;
  }
};
wide.addEventListener("change", arrange);
arrange();

// An element with text; what comes from documents and models is never taken as HTML.
const made = (name, properties, ...children) => {
  const element = Object.assign(document.createElement(name), properties);
  element.append(...children);
  return element;
};

// citations can be copied where the browser lets a page do that
if (navigator.clipboard) {
  for (const button of document.querySelectorAll("button.copy")) {
    button.hidden = false;
    button.addEventListener("click", async () => {
      await navigator.clipboard.writeText(button.previousElementSibling.textContent);
      button.textContent = "Copied";
      setTimeout(() => { button.textContent = "Copy"; }, 2000);
    });
  }
}

// The answer on the page of results, written as it comes. What a proxy or a node that leaves has
// cut off is asked for again, twice at most; the first event then begins the answer anew.
class Answer {
  constructor(section) {
    this.section = section;
    this.link = section.querySelector(".ask");
    this.sources = [];
    this.attempts = 0;
    this.text = "";
    this.link.querySelector("a").addEventListener("click", (event) => {
      if (event.ctrlKey || event.metaKey || event.shiftKey) return;
      event.preventDefault();
      this.start();
    });
    if ("now" in section.dataset) this.start();
  }

  start() {
    this.link.hidden = true;
    this.section.classList.add("begun");
    this.said = made("p", { className: "said", ariaLive: "polite", ariaBusy: "true" });
    this.said.append(made("span", { className: "waiting", textContent: "Reading the passages …" }));
    this.section.append(this.said);
    const words = encodeURIComponent(this.section.dataset.answer);
    this.events = new EventSource(`/api/answer?q=${words}`);
    const take = { sources: "begin", text: "add", notice: "note", done: "end" };
    for (const [name, method] of Object.entries(take)) {
      this.events.addEventListener(name, (event) => this[method](JSON.parse(event.data)));
    }
    this.events.addEventListener("error", () => this.failed());
  }

  begin(sources) {
    this.sources = sources;
    this.text = "";
    this.section.querySelector(".note")?.remove();
  }

  add(text) {
    this.text += text;
    const pieces = this.text.split(/\[(\d+)\]/);
    this.said.replaceChildren(...pieces.map((piece, at) => (at % 2 ? this.citation(+piece) : piece)));
  }

  citation(number) {
    const source = this.sources[number - 1];
    if (!source) return `[${number}]`;
    const label = `Source ${number}: ${source.title}`;
    return made("a", { className: "number", href: source.address, ariaLabel: label, title: label },
      String(number));
  }

  note(text) {
    this.said.before(made("p", { className: "note", textContent: text }));
  }

  end({ provider, found, citations }) {
    this.events.close();
    this.said.ariaBusy = "false";
    const list = made("ol", { className: "sources" });
    for (const source of this.sources.filter((one) => citations.includes(one.number))) {
      const item = made("li", { value: source.number },
        made("a", { href: source.address, textContent: source.title }));
      if (source.place) item.append(" ", made("span", { className: "place", textContent: source.place }));
      list.append(item);
    }
    if (citations.length) this.said.after(list);
    if (!found) return;
    const by = provider === "extractive" ? "Sentences of the sources, word for word."
      : "Written by a language model from the sources. Please check them.";
    this.section.append(made("p", { className: "made", textContent: by }));
  }

  failed() {
    this.attempts += 1;
    if (this.attempts <= 2 && this.events.readyState !== EventSource.CLOSED) return;
    this.events.close();
    this.said.remove();
    this.section.classList.remove("begun");
    delete this.section.dataset.now;
    this.link.hidden = false;
  }
}
for (const section of document.querySelectorAll("section.answer[data-answer]")) new Answer(section);

// places in a transcript move the player that is on the same page
const player = document.querySelector(".player audio, .player video");
if (player) {
  document.addEventListener("click", (event) => {
    const link = event.target.closest("a[data-second]");
    if (!link || event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    player.currentTime = Number(link.dataset.second);
    player.play();
    history.replaceState(null, "", link.href);
  });
}

// the page of a job shows how far it is until it has ended
const progress = document.querySelector("[data-job]");
if (progress && progress.dataset.ended !== "true") {
  const show = async () => {
    const response = await fetch(`/api/jobs/${encodeURIComponent(progress.dataset.job)}`);
    if (!response.ok) return;
    const job = await response.json();
    for (const place of progress.querySelectorAll("[data-field]")) {
      const value = job[place.dataset.field];
      place.textContent = typeof value === "number" ? value.toLocaleString("en") : value ?? "";
    }
    const bar = progress.querySelector("progress");
    if (job.total) {
      bar.max = job.total;
      bar.value = job.seen;
    }
    if (["done", "failed", "dead"].includes(job.state)) location.reload();
  };
  setInterval(() => show().catch(() => {}), 1500);
}
