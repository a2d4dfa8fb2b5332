"use strict";
// Draws what is chosen. Maps lie in <template>s as base64: `highest` and `levels` as src/gaze_vlm/look/kept_maps.py has them.
(() => {
  const at = (id) => document.getElementById(id);
  const bytes = (id) => {
    const text = atob(at(id).content.textContent.trim());
    const made = new Uint8Array(text.length);
    for (let i = 0; i < text.length; i++) made[i] = text.charCodeAt(i);
    return made;
  };
  const floats = (id) => new Float32Array(bytes(id).buffer);
  const data = JSON.parse(at("data").content.textContent);
  const sources = data.sources.map((one, number) => ({
    ...one,
    patches: one.rows * one.columns,
    shares: floats(`shares-${number}`),
    measures: floats(`measures-${number}`),
    highest: floats(`highest-${number}`),
    levels: bytes(`levels-${number}`),
    gaze: one.gaze ? floats(`gaze-${number}`) : null,
  }));
  const figures = [...document.querySelectorAll(".frames figure")];
  const pads = document.querySelectorAll(".frames canvas");
  const state = { token: 0, layer: 0, head: 0 };
  const percent = (share) => `${(100 * share).toFixed(1)} %`;
  const times = (value) => `${value < 10 ? value.toFixed(1) : value.toFixed(0)}×`;
  const source = () => sources[+at("source").value];
  const tokenOf = (own) => (own.tokens === 1 ? 0 : state.token);
  const top = () => Math.exp((Math.log(data.highest) * at("top").value) / 100);

  function slot(own, layer, head) {
    const each = (own.kept[0] || []).length + 1;
    if (layer === 0) return own.layers.length * each;
    return (layer - 1) * each + (head === 0 ? 0 : 1 + own.kept[layer - 1].indexOf(head - 1));
  }
  function shareOf(own, frame) {
    const row = (tokenOf(own) * (own.layers.length + 1) + state.layer) * (own.heads + 1) + state.head;
    return own.shares[row * data.groups + frame];
  }
  function mapOf(own, frame) {
    const place = (tokenOf(own) * own.slots + slot(own, state.layer, state.head)) * data.groups + frame;
    const highest = own.highest[place];
    const levels = own.levels.subarray(place * own.patches, (place + 1) * own.patches);
    return Float32Array.from(levels, (level) => highest * (level / 255) ** 2);
  }
  function paint(pad, own, density) {
    pad.width = own.columns;
    pad.height = own.rows;
    const drawing = pad.getContext("2d");
    const image = drawing.createImageData(own.columns, own.rows);
    density.forEach((value, patch) => {
      const colour = data.colours[Math.round(255 * Math.sqrt(Math.min(1, value / top())))];
      image.data.set(colour, 4 * patch);
    });
    drawing.putImageData(image, 0, 0);
  }

  function drawFrames() {
    const own = source();
    const all = Array.from({ length: data.groups }, (_, group) => shareOf(own, group));
    const total = all.reduce((sum, share) => sum + share, 0);
    const across = at("spread").value === "across" && own.language;
    figures.forEach((figure, number) => {
      const group = Math.floor(number / data.frames_per_group);
      const share = all[group];
      let said = own.block ? "" : percent(share);
      if (own.patches) {
        const map = mapOf(own, group);
        const weight = own.patches * (across ? (share * data.groups) / (total || 1) : 1);
        paint(pads[number], own, map.map((probability) => probability * weight));
        if (own.gaze && data.valid[group]) {
          const shared = map.reduce((sum, p, patch) => sum + Math.min(p, own.gaze[group * own.patches + patch]), 0);
          said += ` · ${percent(shared)} of the map on gaze`;
        }
      }
      figure.querySelector(".share").textContent = said;
      figure.querySelector(".bar span").style.width = `${(100 * share) / (Math.max(...all) || 1)}%`;
      figure.querySelector(".bar").hidden = own.block;
    });
    document.querySelector(".frames").classList.toggle("mapped", at("map").checked && own.patches > 0);
    const layer = state.layer ? `layer ${own.layers[state.layer - 1]}` : "mean of all layers";
    const head = state.head ? `head ${state.head - 1}` : "mean of the heads";
    const token = state.token
      ? `“${data.tokens[state.token - 1].trim()}” (token ${state.token} of ${data.tokens.length}, probability ${data.probabilities[state.token - 1].toPrecision(2)})`
      : "the whole answer, mean of its tokens";
    const what = own.language ? `${percent(total)} of the attention goes to the frames, ${percent(1 - total)} elsewhere.` : "";
    const same = own.language ? token : "the same for every token";
    at("chosen").textContent = `${own.title}, ${layer}, ${head}: ${same}. ${what}${own.patches ? "" : " It reads no patches: the gaze block gives it tokens of its own."}`;
  }
  function drawScale() {
    const most = top();
    at("top-value").textContent = times(most);
    const drawing = at("bar").getContext("2d");
    const image = drawing.createImageData(256, 1);
    data.colours.forEach(([red, green, blue, opacity], level) => {
      const upon = (colour) => (opacity / 255) * colour + (1 - opacity / 255) * 178;
      image.data.set([upon(red), upon(green), upon(blue), 255], 4 * level);
    });
    drawing.putImageData(image, 0, 0);
    const ticks = [0, 1, 3, 10, 30, 100, 300].filter((value) => value < 0.6 * most);
    at("ticks").replaceChildren(
      ...[...ticks, most].map((value) => {
        const tick = document.createElement("span");
        tick.textContent = value === most ? `≥ ${times(value)}` : value + "×";
        tick.style.left = `${100 * Math.sqrt(value / most)}%`;
        return tick;
      }),
    );
  }

  function options(select, named, chosen) {
    select.replaceChildren(
      ...named.map(([value, text, disabled]) => {
        const made = new Option(text, value, false, value === chosen);
        made.disabled = Boolean(disabled);
        return made;
      }),
    );
  }
  function drawChoices() {
    const own = source();
    state.layer = Math.min(state.layer, own.layers.length);
    const kept = state.layer ? own.kept[state.layer - 1] : [];
    if (state.head && !kept.includes(state.head - 1)) state.head = 0;
    options(at("layer"), [[0, "mean of all"], ...own.layers.map((layer, place) => [place + 1, layer])], state.layer);
    const heads = state.layer ? Array.from({ length: own.heads }, (_, head) => head) : [];
    options(at("head"), [[0, "mean"], ...heads.map((head) => [head + 1, kept.includes(head) ? head : `${head} (left out)`, !kept.includes(head)])], state.head);
    at("spread").disabled = !own.language;
    const first = tokenOf(own) * own.layers.length * own.heads;
    const values = own.measures.subarray(first, first + own.layers.length * own.heads);
    const most = Math.max(...values);
    const written = (value) => (own.language ? percent(value) : `${value.toFixed(2)} nats`);
    at("measured").textContent = `${own.measure}. The darkest is ${written(most)}. Press a cell to see the head${(own.kept[0] || []).length < own.heads ? "; small dots are heads whose maps were left out" : ""}.`;
    const row = (tag, cells) => {
      const made = document.createElement("tr");
      made.append(...cells.map((cell) => (cell instanceof Node ? cell : Object.assign(document.createElement("th"), { textContent: cell, scope: tag }))));
      return made;
    };
    const body = own.layers.map((layer, place) => {
      const cells = Array.from({ length: own.heads }, (_, head) => {
        const value = values[place * own.heads + head];
        const cell = document.createElement("td");
        const button = document.createElement("button");
        button.type = "button";
        button.style.setProperty("--level", (90 * value) / most);
        button.ariaLabel = button.title = `layer ${layer}, head ${head}: ${written(value)}`;
        button.ariaPressed = String(state.layer === place + 1 && state.head === head + 1);
        button.ariaDisabled = String(!own.kept[place].includes(head));
        button.tabIndex = button.ariaPressed === "true" || (!state.head && !place && !head) ? 0 : -1;
        Object.assign(button.dataset, { layer: place + 1, head: head + 1 });
        cell.append(button);
        return cell;
      });
      return row("row", [layer, ...cells]);
    });
    at("overview").replaceChildren(row("col", ["layer", ...Array.from({ length: own.heads }, (_, head) => head)]), ...body);
  }
  function draw() {
    drawChoices();
    drawScale();
    drawFrames();
  }
  function choose(layer, head) {
    Object.assign(state, { layer, head });
    draw();
    document.querySelector(`#overview [data-layer="${layer}"][data-head="${head}"]`)?.focus();
  }

  document.querySelectorAll("[name=token]").forEach((radio) =>
    radio.addEventListener("change", () => {
      state.token = +radio.value;
      draw();
    }),
  );
  for (const id of ["source", "layer", "head"])
    at(id).addEventListener("change", () => {
      if (id !== "source") state[id] = +at(id).value;
      draw();
    });
  for (const id of ["spread", "map"]) at(id).addEventListener("change", drawFrames);
  at("top").addEventListener("input", () => (drawScale(), drawFrames()));
  at("gaze")?.addEventListener("change", () => document.querySelector(".frames").classList.toggle("no-gaze", !at("gaze").checked));
  at("overview").addEventListener("click", ({ target }) => {
    if (target.ariaDisabled === "false") choose(+target.dataset.layer, +target.dataset.head);
  });
  at("overview").addEventListener("keydown", (event) => {
    const move = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0] }[event.key];
    const { layer, head } = event.target.dataset;
    if (!move || !layer) return;
    event.preventDefault();
    document.querySelector(`#overview [data-layer="${+layer + move[0]}"][data-head="${+head + move[1]}"]`)?.focus();
  });
  at("top").value = (100 * Math.log(data.top)) / Math.log(data.highest);
  draw();
})();
