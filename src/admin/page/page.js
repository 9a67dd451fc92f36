/*
 * page.js - the live page: server-sent events to cards, strips and a list.
 *
 * What comes from the server is only ever set as text. Times of seconds and events are milliseconds of rmsd's monotonic
 * clock; model.clock added to them gives Unix time.
 */
"use strict";

const KEPT_MS = 300000, STALE_MS = 3000, EVENTS_MAX = 200, GAP_MS = 2500, FLIGHT_MS = 8000, SPARK_MS = 60000;
const COLOURS = 8, RETRY_MS = 2000, DOTS_MAX = 8;
const MANY = 12; // workers, from which on each has less room

const model = {
	clock: 0,
	names: [],     // of the workers
	seconds: [],   // { ms, rates: [], p99: [] (seconds, or null), states: [] }, the oldest first
	events: [],    // { ms, kind, data }, the oldest first
	seen: new Set(),
	figures: null, // the last ones, and when they came
	came: performance.now(),
};

const byId = (id) => document.getElementById(id);

// ---- numbers to text ----

const whole = new Intl.NumberFormat("en");

function rate(value) {
	return value >= 100 || value === 0 ? whole.format(Math.round(value)) : value.toFixed(1);
}

function seconds(value) {
	if (value === null || value === undefined)
		return "–";
	if (value < 0.001)
		return `${Math.round(value * 1e6)} µs`;
	if (value < 1)
		return `${(value * 1e3).toFixed(value < 0.01 ? 2 : value < 0.1 ? 1 : 0)} ms`;
	return `${value.toFixed(value < 9.995 ? 2 : 0)} s`;
}

function age(value) {
	const s = Math.max(0, Math.floor(value)), min = Math.floor(s / 60), h = Math.floor(min / 60);

	if (s < 60)
		return `${s} s`;
	if (min < 60)
		return `${min} min ${s % 60} s`;
	return h < 24 ? `${h} h ${min % 60} min` : `${Math.floor(h / 24)} d ${h % 24} h`;
}

function count(n, noun) {
	return `${whole.format(n)} ${noun}${n === 1 ? "" : "s"}`;
}

function clockTime(unixMs) {
	return new Date(unixMs).toTimeString().slice(0, 8);
}

// Text nodes are left alone when nothing changes, so that neither a screen reader nor the layout is bothered.
function put(element, text) {
	if (element.textContent !== text)
		element.textContent = text;
}

function colour(element, index) {
	element.style.setProperty("--c", `var(--w${index % COLOURS})`);
}

// ---- the model ----

function reset() {
	Object.assign(model, { names: [], seconds: [], events: [], figures: null });
	model.seen.clear();
	byId("events").replaceChildren();
}

function follow(data) {
	const ms = data.time_ns / 1e6, last = model.seconds[model.seconds.length - 1];

	// The clock has gone back: another machine, or the same one started again.
	if (last && ms < last.ms - 1000)
		reset();
	model.clock = Date.parse(data.time) - ms;
}

function sameNames(names) {
	return names.length === model.names.length && names.every((name, i) => name === model.names[i]);
}

function addSecond(second) {
	const last = model.seconds[model.seconds.length - 1];

	if (last && second.ms <= last.ms)
		return;
	model.seconds.push(second);
	while (model.seconds[0].ms < second.ms - KEPT_MS)
		model.seconds.shift();
}

function takeHistory(data) {
	follow(data);
	if (!sameNames(data.workers)) {
		reset();
		follow(data);
		model.names = data.workers;
		makeCards();
	}
	for (const row of data.seconds) {
		const second = { ms: row[0], rates: [], p99: [], states: [] };

		for (let i = 1; i < row.length; i += 3) {
			second.rates.push(row[i]);
			second.p99.push(row[i + 1] < 0 ? null : row[i + 1] / 1e6);
			second.states.push(data.states[row[i + 2]]);
		}
		addSecond(second);
	}
	for (const event of data.events)
		takeEvent(event.kind, event.data, true);
}

function takeFigures(data) {
	const before = model.figures;

	follow(data);
	model.came = performance.now();
	if (!sameNames(data.workers.map((worker) => worker.name))) {
		reset();
		follow(data);
		model.names = data.workers.map((worker) => worker.name);
		makeCards();
	}
	if (data.second_ns)
		addSecond({
			ms: Math.floor(data.second_ns / 1e6),
			rates: data.workers.map((worker) => worker.requests_per_second),
			p99: data.workers.map((worker) => worker.p99_seconds),
			states: data.workers.map((worker) => worker.state),
		});
	model.figures = data;
	if (before && before.time_ns < data.time_ns && before.uptime_seconds <= data.uptime_seconds)
		fly(before, data);
	show();
}

function takeEvent(kind, data, past) {
	const key = [kind, data.time_ns, data.worker, data.state, data.event].join();
	const event = { ms: data.time_ns / 1e6, kind, data };

	if (model.seen.has(key))
		return;
	model.seen.add(key);
	model.events.push(event);
	model.events.sort((a, b) => a.ms - b.ms);
	if (model.events.length > EVENTS_MAX) {
		model.events.shift();
		byId("events").lastElementChild.remove();
	}
	listEvent(event);
	if (!past)
		react(event);
}

// ---- events ----

function tell({ kind, data }) {
	switch (kind) {
	case "state":
		return `${data.worker} is ${data.state}, was ${data.was}`;
	case "rehomed":
		return data.connections
			? `${count(data.connections, "connection")} of ${data.worker} flew to other workers (${data.reason})`
			: `${data.worker} had no connections to move (${data.reason})`;
	case "even":
		return "Every worker has its share of the connections";
	case "drill":
		switch (data.event) {
		case "begun": return `Drill: ${data.action} ${data.worker}`;
		case "injected": return `Drill: ${data.worker} is being lost`;
		case "reverting": return `Drill: ${data.worker} is brought back`;
		case "end": return data.ok ? "Drill: it is over" : `Drill: it ended badly: ${data.error}`;
		case "verdict": return `Drill: ${data.passed ? "passed" : "failed"}`;
		}
	}
	return kind;
}

function listEvent(event) {
	const item = document.createElement("li"), time = document.createElement("time");
	const text = document.createElement("span"), unix = new Date(event.ms + model.clock);
	let next = byId("events").firstElementChild;

	item.className = `kind-${event.kind}`;
	if (event.data.state)
		item.dataset.state = event.data.state;
	time.dateTime = unix.toISOString();
	time.title = unix.toISOString();
	time.textContent = clockTime(unix);
	text.textContent = tell(event);
	item.append(time, text);
	item.ms = event.ms;
	// Some come a moment late, such as the first of a drill.
	while (next && next.ms > event.ms)
		next = next.nextElementSibling;
	byId("events").insertBefore(item, next);
}

// A state shows at once, not with the next figures.
function react({ kind, data }) {
	const worker = model.figures && model.figures.workers.find(({ name }) => name === data.worker);

	if (kind === "state" && worker) {
		worker.state = data.state;
		worker.since = data.time;
		show();
	} else if (kind === "rehomed" && data.connections) {
		lastLoss = { name: data.worker, at: performance.now() };
		note(data.worker, `${count(data.connections, "connection")} flew to other workers`);
	}
}

// ---- cards ----

let cards = new Map(), lastLoss = null;

function makeCard(name, index) {
	const item = byId("card").content.firstElementChild.cloneNode(true), parts = {};

	for (const part of item.querySelectorAll("[data-key]"))
		parts[part.dataset.key] = part;
	colour(item, index);
	parts.name.textContent = name;
	parts.name.id = `worker-${index}`;
	item.setAttribute("aria-labelledby", parts.name.id);
	return { item, parts, spark: item.querySelector(".spark path"), bar: item.querySelector(".bar span"), until: 0 };
}

function makeCards() {
	cards = new Map(model.names.map((name, index) => [name, makeCard(name, index)]));
	byId("cards").classList.toggle("many", model.names.length > MANY);
	byId("cards").replaceChildren(...[...cards.values()].map(({ item }) => item));
}

function showCard(worker, now) {
	const { item, parts, bar } = cards.get(worker.name);

	item.dataset.state = worker.state;
	parts.state.dataset.state = worker.state;
	put(parts.state, worker.state);
	put(parts.since, `for ${age((now - Date.parse(worker.since)) / 1000)}, since ${clockTime(Date.parse(worker.since))}`);
	parts.since.title = worker.since;
	put(parts.rate, rate(worker.requests_per_second));
	put(parts.p50, seconds(worker.p50_seconds));
	put(parts.p99, seconds(worker.p99_seconds));
	put(parts.lag, seconds(worker.state === "down" || worker.state === "failed" ? null : worker.loop_lag_seconds));
	put(parts.connections, whole.format(worker.connections));
	put(parts.flight, whole.format(worker.in_flight));
	put(parts.restarts, whole.format(worker.restarts));
	put(parts.busy, `${Math.round(worker.busy_ratio * 100)} %`);
	bar.style.transform = `scaleX(${Math.min(1, worker.busy_ratio)})`;
}

function showSparks() {
	const last = model.seconds[model.seconds.length - 1];
	const shown = last ? model.seconds.filter(({ ms }) => ms >= last.ms - SPARK_MS) : [];
	const most = Math.max(1, ...shown.flatMap(({ rates }) => rates));

	model.names.forEach((name, i) => {
		let d = "";

		for (const second of shown) {
			const x = 60 - (last.ms - second.ms) / SPARK_MS * 60;

			// What goes on at the left has no edge there.
			d += `${d ? "L" : `M${(x < 1 ? -1 : x).toFixed(2)},21L`}${x.toFixed(2)},${(19.5 - second.rates[i] / most * 18.5).toFixed(2)}`;
		}
		cards.get(name).spark.setAttribute("d", d && `${d}L61,21Z`);
	});
}

// ---- connections that fly ----

// What a card says of the last flight; it fades to the count of all time.
function note(name, text) {
	const card = cards.get(name);

	if (!card)
		return;
	card.until = performance.now() + FLIGHT_MS;
	card.parts.flown.classList.add("new");
	put(card.parts.flown, text);
}

function showFlown(worker) {
	const card = cards.get(worker.name);

	if (performance.now() < card.until)
		return;
	card.parts.flown.classList.remove("new");
	put(card.parts.flown, worker.rehomed_total ? `${count(worker.rehomed_total, "connection")} flew here so far` : "");
}

function launch(from, to, n, index) {
	const start = from.getBoundingClientRect(), end = to.getBoundingClientRect();
	const at = (box) => `translate(${box.left + box.width / 2}px, ${box.top + box.height / 2}px)`;

	for (let i = 0; i < Math.min(n, DOTS_MAX); i++) {
		const dot = document.createElement("span");

		dot.className = "dot";
		dot.setAttribute("aria-hidden", "true");
		colour(dot, index);
		document.body.append(dot);
		dot.animate(
			[{ transform: at(start), opacity: 0 }, { opacity: 1, offset: 0.2 }, { transform: at(end), opacity: 0.2 }],
			{ duration: 900, delay: i * 70, easing: "cubic-bezier(.4, 0, .2, 1)", fill: "both" },
		).onfinish = () => dot.remove();
	}
}

function fly(before, after) {
	const still = document.hidden || matchMedia("(prefers-reduced-motion: reduce)").matches;
	const from = lastLoss && performance.now() - lastLoss.at < STALE_MS ? cards.get(lastLoss.name) : null;

	after.workers.forEach((worker, index) => {
		const n = worker.rehomed_total - before.workers[index].rehomed_total;

		if (n <= 0)
			return;
		note(worker.name, `${count(n, "connection")} flew to ${worker.name}`);
		if (from && !still && from !== cards.get(worker.name))
			launch(from.item, cards.get(worker.name).item, n, index);
	});
}

// ---- all figures ----

const totals = {};

function showTotals({ workers, totals: all }) {
	const up = workers.filter(({ state }) => state === "up").length;

	put(totals.rate, rate(all.requests_per_second));
	put(totals.p50, seconds(all.p50_seconds));
	put(totals.p99, seconds(all.p99_seconds));
	put(totals.connections, whole.format(all.connections));
	put(totals.flight, whole.format(all.in_flight));
	put(totals.errors, whole.format(all.errors_total));
	put(totals.rehomed, whole.format(all.rehomed_total));
	put(totals.up, `${up} of ${workers.length}`);
	totals.up.classList.toggle("bad", up < workers.length);
}

function showTable({ workers }, now) {
	byId("rows").replaceChildren(...workers.map((worker) => {
		const row = document.createElement("tr");
		const cells = [
			worker.name, worker.state, age((now - Date.parse(worker.since)) / 1000), rate(worker.requests_per_second),
			seconds(worker.p50_seconds), seconds(worker.p99_seconds), whole.format(worker.connections),
			whole.format(worker.in_flight), `${Math.round(worker.busy_ratio * 100)} %`, seconds(worker.loop_lag_seconds),
			whole.format(worker.restarts), whole.format(worker.errors_total), whole.format(worker.rehomed_total),
		];

		cells.forEach((text, i) => {
			const cell = document.createElement(i ? "td" : "th");

			if (!i)
				cell.scope = "row";
			cell.className = i > 2 ? "n" : "";
			cell.textContent = text;
			row.append(cell);
		});
		return row;
	}));
}

function showDrill({ drill }) {
	const phases = {
		ordered: "is being lost", held: "is out", reverting: "comes back", evening: "is up again and gets its share",
	};

	byId("drill").hidden = !drill;
	if (drill)
		put(byId("drill"), `Drill: ${drill.action} ${drill.worker}. ${drill.worker} ${phases[drill.phase] || drill.phase}.`);
}

function show() {
	const figures = model.figures;
	const now = figures.time_ns / 1e6 + model.clock;

	showStale();
	if (document.hidden)
		return;
	showTotals(figures);
	figures.workers.forEach((worker) => {
		showCard(worker, now);
		showFlown(worker);
	});
	showSparks();
	showDrill(figures);
	if (byId("table").open)
		showTable(figures, now);
	put(byId("about"), `${figures.version} · ${figures.server === "up" ? "" : `${figures.server}, `}up for ${
		age(figures.uptime_seconds)}`);
	drawStrips();
}

// ---- strips ----

const SVG = "http://www.w3.org/2000/svg", strips = byId("strips");
const TOP = 56, RATE_HEIGHT = 150, P99_HEIGHT = 96, BETWEEN = 34, RIGHT = 6, AXIS = 18;
let cursor = null; // the end of the second that is read: it stays the same one while others come

function shape(name, attributes, text) {
	const element = document.createElementNS(SVG, name);

	for (const key in attributes)
		element.setAttribute(key, attributes[key]);
	if (text !== undefined)
		element.textContent = text;
	return element;
}

// A round number, and its half is one too: at least value.
function roundUp(value) {
	const unit = 10 ** Math.floor(Math.log10(Math.max(value, 1)));

	return unit * [1, 2, 3, 4, 5, 6, 8, 10].find((step) => step * unit >= value - 1e-9);
}

function layOut() {
	const width = Math.max(200, strips.clientWidth), left = width < 480 ? 46 : 58;
	const row = model.names.length > MANY ? 7 : 15;
	const rateBottom = TOP + RATE_HEIGHT, p99Bottom = rateBottom + BETWEEN + P99_HEIGHT, rows = p99Bottom + BETWEEN;
	const end = model.seconds.length ? model.seconds[model.seconds.length - 1].ms : 0;

	return {
		width, left, row, rateBottom, p99Bottom, rows, end,
		bottom: rows + row * model.names.length,
		x: (ms) => width - RIGHT - (end - ms) / KEPT_MS * (width - RIGHT - left),
	};
}

// The seconds in pieces without a gap.
function pieces() {
	const all = [];

	model.seconds.forEach((second, i) => {
		if (!i || second.ms - model.seconds[i - 1].ms > GAP_MS)
			all.push([]);
		all[all.length - 1].push(second);
	});
	return all;
}

function drawAxes(at, most, least, decades) {
	const out = [];
	const line = (y, text) => out.push(
		shape("line", { class: "grid", x1: at.left, x2: at.width - RIGHT, y1: y, y2: y }),
		shape("text", { x: at.left - 7, y: y + 4, "text-anchor": "end" }, text));

	for (const part of [0, 0.5, 1])
		line(at.rateBottom - part * RATE_HEIGHT, rate(part * most));
	for (let i = 0; i <= decades; i++)
		line(at.p99Bottom - i / decades * P99_HEIGHT, seconds(10 ** (least + i)).replace(/\.0+ /, " "));
	for (let min = at.left < 50 ? 4 : 5; min >= 0; min -= at.left < 50 ? 2 : 1)
		out.push(shape("text", {
			x: at.x(at.end - min * 60000), y: at.bottom + AXIS - 3, "text-anchor": min === 5 ? "start" : min ? "middle" : "end",
		}, min ? `−${min} min` : "now"));
	return out;
}

function drawHeadings(at) {
	const heading = (y, text) => shape("text", { class: "heading", x: at.left, y }, text);

	return [
		heading(TOP - 9, "Requests per second, by worker"),
		heading(at.p99Bottom - P99_HEIGHT - 10, "99 % within, by worker"),
		heading(at.rows - 8, "State"),
	];
}

function drawRates(at, most) {
	const y = (value) => (at.rateBottom - value / most * RATE_HEIGHT).toFixed(1);
	const all = pieces(), below = new Map();

	return model.names.map((name, i) => {
		const path = shape("path", { class: "area" });
		let d = "";

		for (const piece of all) {
			const lower = piece.map((second) => below.get(second) || 0);
			const upper = piece.map((second, n) => lower[n] + second.rates[i]);

			d += piece.map((second, n) => `${n ? "L" : "M"}${at.x(second.ms).toFixed(1)},${y(upper[n])}`).join("");
			for (let n = piece.length - 1; n >= 0; n--)
				d += `L${at.x(piece[n].ms).toFixed(1)},${y(lower[n])}`;
			d += "Z";
			piece.forEach((second, n) => below.set(second, upper[n]));
		}
		path.setAttribute("d", d);
		colour(path, i);
		return path;
	});
}

function drawP99(at, least, decades) {
	const y = (value) => at.p99Bottom - Math.max(0, Math.min(1, (Math.log10(value) - least) / decades)) * P99_HEIGHT;

	return model.names.map((name, i) => {
		const path = shape("path", { class: "curve" });
		let d = "", before = null;

		for (const second of model.seconds) {
			const value = second.p99[i];

			if (value !== null) {
				const joined = before && second.ms - before.ms <= GAP_MS;
				// A point by itself is a short line.
				d += `${joined ? "L" : `M${(at.x(second.ms) - 1).toFixed(1)},${y(value).toFixed(1)}L`}${
					at.x(second.ms).toFixed(1)},${y(value).toFixed(1)}`;
			}
			before = value === null ? null : second;
		}
		path.setAttribute("d", d);
		colour(path, i);
		return path;
	});
}

// Runs of the same state, from one second's end to the next.
function runs(index) {
	const all = [];

	for (const second of model.seconds) {
		const state = second.states[index], last = all[all.length - 1];

		if (last && last.state === state && second.ms - last.to <= GAP_MS)
			last.to = second.ms;
		else if (last && second.ms - last.to <= GAP_MS)
			all.push({ state, from: last.to, to: second.ms });
		else
			all.push({ state, from: second.ms - 1000, to: second.ms });
	}
	return all;
}

// Of who is not up: its rows, and a shade behind the strips.
function drawStates(at, shades) {
	const out = [];

	model.names.forEach((name, i) => {
		const y = at.rows + i * at.row;

		if (at.row > 10)
			out.push(shape("text", { x: at.left - 7, y: y + at.row / 2 + 4, "text-anchor": "end" },
				name.length > 8 ? `${name.slice(0, 7)}…` : name));
		for (const run of runs(i)) {
			const x = Math.max(at.left, at.x(run.from)), width = Math.max(0.5, at.x(run.to) - x);
			const up = run.state === "up", height = up ? 3 : at.row - 3;
			const bar = shape("rect", {
				class: up ? "on" : "off", "data-state": run.state, x, width, y: y + (at.row - height) / 2, height,
			});

			colour(bar, i);
			bar.append(shape("title", {}, `${name}: ${run.state}`));
			out.push(bar);
			if (!up)
				shades.push(shape("rect", {
					class: "shade", "data-state": run.state, x, width, y: TOP, height: at.p99Bottom - TOP,
				}));
		}
	});
	return out;
}

const RANK = { down: 6, failed: 6, stalled: 5, drill: 4, draining: 3, up: 2, move: 1 };

function markOf({ kind, data, ms }) {
	if (kind === "state" && data.state !== "starting")
		return { ms, rank: RANK[data.state], state: data.state, worker: data.worker, text: `${data.worker} ${data.state}` };
	if (kind === "drill" && (data.event === "begun" || data.event === "end"))
		return { ms, rank: RANK.drill, text: data.event === "end" ? "drill over" : `drill: ${data.action} ${data.worker}` };
	if (kind === "rehomed" && data.connections)
		return { ms, rank: RANK.move, worker: data.worker, moved: data.connections, text: `${data.connections} moved` };
	return null;
}

// Marks that stand together have one line, which says all of them to a pointer.
function groupMarks(at) {
	const groups = [];

	for (const event of model.events) {
		const mark = markOf(event), last = groups[groups.length - 1];

		if (!mark || at.x(mark.ms) < at.left)
			continue;
		if (last && at.x(mark.ms) - last.x < 5)
			last.marks.push(mark);
		else
			groups.push({ x: Math.min(at.width - RIGHT, at.x(mark.ms)), marks: [mark] });
	}
	for (const group of groups)
		group.top = group.marks.reduce((best, mark) => mark.rank > best.rank ? mark : best);
	return groups;
}

// What the line is labelled with: the weightiest of its marks, and what it moved.
function label({ marks, top }) {
	const alike = new Set(marks.filter((mark) => mark.state && mark.state === top.state).map(({ worker }) => worker));
	const moved = marks.filter((mark) => mark.moved && (alike.has(mark.worker) || !alike.size))
		.reduce((sum, mark) => sum + mark.moved, 0);
	const text = top.moved ? "" : alike.size > 1 ? `${alike.size} workers ${top.state}` : top.text;

	return [text, moved ? `${moved} moved` : ""].filter((part) => part).join(", ");
}

function drawMarks(at) {
	const out = [], lines = [[], []]; // what is taken of each line of labels

	// The weightiest first; those that have no room for a label go without.
	for (const group of groupMarks(at).sort((a, b) => b.top.rank - a.top.rank || b.x - a.x)) {
		const { x, top } = group, text = label(group), width = text.length * 5.9;
		const start = x + 3 + width < at.width ? x + 3 : Math.max(at.left, x - 3 - width), end = start + width + 8;
		const n = lines.findIndex((line) => !line.some((other) => start < other.end && end > other.start));
		const tone = top.state ? { "data-state": top.state } : {};
		const kind = top.state ? "" : top.rank === RANK.drill ? " kind-drill" : " kind-move";
		const line = shape("line", {
			class: `mark${kind}`, ...tone, x1: x, x2: x, y1: n < 0 ? TOP : n * 14 + 2, y2: at.bottom,
		});

		line.append(shape("title", {}, group.marks.map((mark) => mark.text).join(", ")));
		out.push(line);
		if (n < 0)
			continue;
		lines[n].push({ start, end });
		out.push(shape("text", { class: `label${kind}`, ...tone, x: start, y: n * 14 + 11 }, text));
	}
	return out;
}

function drawCursor(at) {
	const second = model.seconds.find(({ ms }) => ms === cursor);

	if (!second) {
		put(byId("readout"), "");
		return [];
	}
	const lines = model.names.map((name, i) => `${name}: ${second.states[i] === "up" ? "" : `${second.states[i]}, `}${
		rate(second.rates[i])}/s, p99 ${seconds(second.p99[i])}`);
	const all = `${rate(second.rates.reduce((a, b) => a + b, 0))} requests/s`;

	// Of many, those that are not up.
	put(byId("readout"), [clockTime(second.ms + model.clock), all,
		...lines.filter((line, i) => lines.length <= MANY || second.states[i] !== "up").slice(0, MANY)].join("\n"));
	byId("readout").classList.toggle("left", at.x(second.ms) > at.width / 2);
	return [shape("line", { class: "cursor", x1: at.x(second.ms), x2: at.x(second.ms), y1: TOP, y2: at.bottom })];
}

function summarise() {
	const sums = model.seconds.map(({ rates }) => rates.reduce((a, b) => a + b, 0));
	const worst = Math.max(0, ...model.seconds.flatMap(({ p99 }) => p99.map((value) => value || 0)));
	const since = model.seconds.length ? model.seconds[0].ms : 0;
	const lost = model.events.filter(({ kind, data, ms }) =>
		kind === "state" && ms >= since && data.was === "up" && data.state !== "up").length;

	if (!sums.length)
		return "Nothing measured yet.";
	return `In ${age((model.seconds[model.seconds.length - 1].ms - since) / 1000 + 1)}: ${
		rate(sums.reduce((a, b) => a + b, 0) / sums.length)} requests per second on average, ${
		rate(Math.max(...sums))} at most; 99 % within ${worst ? seconds(worst) : "–"} in the worst second of any worker; ${
		lost ? `${lost === 1 ? "once" : `${lost} times`} a worker stopped serving` : "every worker served all the time"}.`;
}

function drawStrips() {
	const at = layOut();
	const most = roundUp(Math.max(10, ...model.seconds.map(({ rates }) => rates.reduce((a, b) => a + b, 0))));
	const values = model.seconds.flatMap(({ p99 }) => p99.filter((value) => value !== null));
	// What is all in the first bucket is just below its bound.
	const least = Math.min(-3, Math.floor(Math.log10(Math.max(1e-5, Math.min(1, ...values))) + 0.02));
	const decades = Math.max(1, Math.ceil(Math.log10(Math.max(0.01, ...values)) - 1e-9) - least);

	const shades = [], states = drawStates(at, shades);

	strips.setAttribute("height", at.bottom + AXIS);
	strips.replaceChildren(...drawAxes(at, most, least, decades), ...shades, ...drawRates(at, most),
		...drawP99(at, least, decades), ...states, ...drawMarks(at), ...drawHeadings(at),
		...drawCursor(at));
	put(byId("summary"), summarise());
}

// To one of model.seconds; null: to none.
function moveCursor(index) {
	const last = model.seconds.length - 1;

	cursor = index === null || last < 0 ? null : model.seconds[Math.max(0, Math.min(last, index))].ms;
	drawStrips();
}

function point(event) {
	const at = layOut(), x = event.clientX - strips.getBoundingClientRect().left;
	let nearest = null;

	model.seconds.forEach(({ ms }, i) => {
		if (nearest === null || Math.abs(at.x(ms) - x) < Math.abs(at.x(model.seconds[nearest].ms) - x))
			nearest = i;
	});
	moveCursor(nearest);
}

strips.addEventListener("pointermove", point);
strips.addEventListener("pointerdown", point);
// A finger leaves when it is lifted; what it has pointed at is still to be read.
strips.addEventListener("pointerleave", (event) => event.pointerType !== "touch" && moveCursor(null));
strips.addEventListener("blur", () => moveCursor(null));
strips.addEventListener("keydown", (event) => {
	const step = event.shiftKey ? 10 : 1, last = model.seconds.length - 1;
	const index = model.seconds.findIndex(({ ms }) => ms === cursor);

	if (event.key === "ArrowLeft")
		moveCursor(index < 0 ? last : index - step);
	else if (event.key === "ArrowRight")
		moveCursor(index < 0 ? last : index + step);
	else if (event.key === "Escape")
		moveCursor(null);
	else
		return;
	event.preventDefault();
});

// ---- the connection ----

// In the title, too: the page may be a tab that nobody looks at.
function showTitle(stale) {
	const workers = model.figures ? model.figures.workers : [];
	const lost = workers.filter(({ state }) => state !== "up").length;
	const title = stale ? "stale · rmsd" : lost ? `${lost} not up · rmsd` : "rmsd";

	if (document.title !== title)
		document.title = title;
}

function showStale() {
	const stale = performance.now() - model.came > STALE_MS, banner = byId("stale"), link = byId("link");

	showTitle(stale);

	document.body.classList.toggle("stale", stale);
	link.dataset.state = stale ? "stale" : model.figures ? "live" : "starting";
	put(link, stale ? "stale" : model.figures ? "live" : "connecting");
	if (stale && banner.hidden)
		banner.textContent = `Stale since ${clockTime(Date.now() - (performance.now() - model.came))}: no figures come from rmsd. Trying again.`;
	banner.hidden = !stale;
}

function listen() {
	const source = new EventSource("events?history=1");
	const on = (kind, fn) => source.addEventListener(kind, (event) => fn(JSON.parse(event.data)));

	on("history", takeHistory);
	on("figures", takeFigures);
	for (const kind of ["state", "rehomed", "even", "drill"])
		on(kind, (data) => takeEvent(kind, data, false));
	// It connects again by itself, unless it was refused.
	source.addEventListener("error", () => {
		if (source.readyState === EventSource.CLOSED)
			setTimeout(listen, RETRY_MS);
	});
}

for (const part of document.querySelectorAll("#totals [data-key]"))
	totals[part.dataset.key] = part;
put(byId("host"), location.host);
document.addEventListener("visibilitychange", () => model.figures && show());
byId("table").addEventListener("toggle", () => model.figures && show());
new ResizeObserver(() => drawStrips()).observe(strips.parentElement);
setInterval(showStale, 500);
listen();
