// The page around live.js: what is typed goes through the model, and what it does is drawn.
// Its words stand in the page, as JSON, in the page's language. Text enters the page as text only.
"use strict"
;(() => {
  const { liveModel, liveWeights, liveFacts, wordsOf, without, logOdds } = globalThis
  const say = JSON.parse(document.getElementById("words").textContent)
  const at = (id) => document.getElementById(id)
  const MOST_WORDS = 120

  const element = (tag, props, ...inside) => {
    const made = Object.assign(document.createElement(tag), props)
    made.append(...inside)
    return made
  }
  // "{word} …" with its words filled in; one pass, so that what was typed is never read again
  const fill = (text, values) => text.replace(/\{(\w+)\}/g, (_, name) => values[name])
  const number = (x, digits = 1) => x.toLocaleString(say.locale,
    { minimumFractionDigits: digits, maximumFractionDigits: digits })
  const percent = (p) => number(100 * p) + say.percent
  const change = (points) => (points > 0 ? "+" : points < 0 ? "−" : "") + number(Math.abs(points))

  if (!liveWeights || !liveModel) { at("says").textContent = say.missing; return }
  const model = liveModel(liveWeights)
  const names = model.classes.map((name) => say.classes[name] || name)
  const field = at("headline")
  let shown = null, turn = 0, head = [0, 0], from = 0

  // ---- The class
  const bars = names.map((name) => {
    const bar = element("span", { className: "bar" }), value = element("span", { className: "value" })
    const track = element("span", { className: "track" }, bar)
    track.setAttribute("aria-hidden", "true")
    const row = element("li", {}, element("span", { className: "name" }, name), track, value)
    at("bars").append(row)
    return { row, bar, value }
  })
  const best = (p) => p.indexOf(Math.max(...p))
  const drawClass = ({ probabilities, tokens, cut }, text) => {
    const top = best(probabilities)
    bars.forEach(({ row, bar, value }, i) => {
      bar.style.width = `${100 * probabilities[i]}%`
      value.textContent = percent(probabilities[i])
      row.className = i === top ? "top" : ""
    })
    const read = tokens.slice(1, -1), unknown = read.filter((t) => t === "[UNK]").length
    const told = [fill(say.answer, { name: names[top], p: percent(probabilities[top]) })]
    if (!text.trim()) told.unshift(say.empty)
    else if (!read.length) told.unshift(say.invisible)
    else if (unknown === read.length) told.unshift(say.allUnknown)
    if (cut) told.push(fill(say.cut, { most: model.positions - 2, cut: number(cut, 0) }))
    at("says").textContent = told.join(" ")
  }

  // ---- Each word left out
  const effects = (text, label, p, words) => words.map(({ word, places, probabilities }) => ({
    word, places, p: probabilities[label], points: 100 * (p[label] - probabilities[label]),
    fall: logOdds(p, label) - logOdds(probabilities, label) }))
  const detail = ({ word, p }, label, all) => {
    at("word-says").textContent =
      fill(say.word, { word, name: names[label], p: percent(p), all: percent(all[label]) })
  }
  const drawPlain = (text) => at("text").replaceChildren(text)
  const drawWords = (text, label, p, words) => {
    const found = effects(text, label, p, words)
    const places = found.flatMap((e) => e.places.map((place) => ({ e, place })))
    places.sort((a, b) => a.place[0] - b.place[0])
    const out = []
    let done = 0
    for (const { e, place: [start, end] } of places) {
      const strength = Math.min(1, Math.abs(e.fall) / 2)
      const side = strength < 0.05 ? "" : e.fall > 0 ? "for" : "against"
      const button = element("button", { type: "button", className: side }, text.slice(start, end))
      button.style.setProperty("--strength", `${Math.round(45 * strength)}%`)
      const tell = () => detail(e, label, p)
      for (const event of ["mouseenter", "focus", "click"]) button.addEventListener(event, tell)
      out.push(text.slice(done, start), button)
      done = end
    }
    at("text").replaceChildren(...out, text.slice(done))
    const ranked = [...found].sort((a, b) => b.fall - a.fall)
    if (ranked.length) detail(ranked[0], label, p)
    at("word-rows").replaceChildren(...ranked.map((e) => element("tr", {},
      element("th", { scope: "row" }, e.word), element("td", {}, percent(e.p)),
      element("td", {}, change(-e.points)))))
    at("word-column").textContent = fill(say.column, { name: names[label] })
  }
  const pause = () => new Promise((done) => setTimeout(done))
  const leaveOut = async (text, p) => {
    const mine = ++turn, label = best(p), all = wordsOf(text), words = all.slice(0, MOST_WORDS)
    drawPlain(text || " ")
    at("word-rows").replaceChildren()
    at("word-says").textContent = words.length < 2 ? say.fewWords : ""
    if (words.length < 2) return
    let last = performance.now()
    for (const [i, w] of words.entries()) {
      w.probabilities = model.answer(without(text, w.places)).probabilities
      if (performance.now() - last < 30) continue
      at("word-says").textContent = fill(say.progress, { done: i + 1, all: words.length })
      await pause()
      if (mine !== turn) return
      last = performance.now()
    }
    drawWords(text, label, p, words)
    const rest = all.length - words.length
    if (rest) at("word-says").textContent += " " + fill(say.mostWords, { most: MOST_WORDS })
  }

  // ---- Tokens
  const drawTokens = ({ tokens }) => {
    const kind = (t) => /^\[(CLS|SEP|UNK)\]$/.test(t) ? "mark" : t.startsWith("##") ? "inner" : ""
    at("tokens").replaceChildren(...tokens.map((t) => element("li", { className: kind(t) }, t)))
    at("token-count").textContent = fill(say.tokens, { n: tokens.length })
  }

  // ---- Attention
  const ink = () => getComputedStyle(document.body).getPropertyValue("--lead").trim()
  const sharp = (canvas, wide, high) => {
    const scale = window.devicePixelRatio || 1
    Object.assign(canvas, { width: wide * scale, height: high * scale })
    Object.assign(canvas.style, { width: `${wide}px`, height: `${high}px` })
    const pen = canvas.getContext("2d")
    pen.scale(scale, scale)
    return pen
  }
  const drawSquare = (pen, look, n, most, left, top, cell) => {
    const side = cell > 5 ? cell - 1 : cell
    pen.fillStyle = ink()
    for (let r = 0; r < most; r++) for (let c = 0; c < most; c++) {
      pen.globalAlpha = Math.sqrt(look[r * n + c])
      pen.fillRect(left + c * cell, top + r * cell, side, side)
    }
    pen.globalAlpha = 1
  }
  const squares = []
  for (let l = 0; l < model.layers; l++) {
    const row = element("div", { className: "heads" })
    row.setAttribute("role", "group")
    row.setAttribute("aria-label", fill(say.layer, { layer: l + 1 }))
    for (let h = 0; h < model.heads; h++) {
      const canvas = document.createElement("canvas")
      canvas.setAttribute("aria-hidden", "true")
      const name = element("span", {}, fill(say.head, { layer: l + 1, head: h + 1 }))
      name.setAttribute("aria-hidden", "true")
      const button = element("button", { type: "button" }, canvas, name)
      button.setAttribute("aria-label", fill(say.headName, { layer: l + 1, head: h + 1 }))
      button.addEventListener("click", () => { head = [l, h]; drawAttention() })
      row.append(button)
      squares.push({ l, h, canvas, button })
    }
    at("squares").append(row)
  }
  const drawLarge = (look, tokens) => {
    const n = tokens.length, room = at("large-box").clientWidth, label = 84
    const most = Math.min(n, Math.max(4, Math.floor((room - label) / 15)), 32)
    const cell = Math.min(30, Math.floor((room - label) / most)), size = label + most * cell
    const pen = sharp(at("large"), size, size)
    drawSquare(pen, look, n, most, label, label, cell)
    pen.fillStyle = getComputedStyle(document.body).color
    pen.font = `12px ${getComputedStyle(at("tokens")).fontFamily}`
    pen.textBaseline = "middle"
    const short = (t) => (Array.from(t).length > 10 ? Array.from(t).slice(0, 9).join("") + "…" : t)
    tokens.slice(0, most).forEach((t, i) => {
      const middle = label + (i + 0.5) * cell
      pen.textAlign = "right"
      pen.fillText(short(t), label - 6, middle)
      pen.save()
      pen.translate(middle, label - 6)
      pen.rotate(-Math.PI / 2)
      pen.textAlign = "left"
      pen.fillText(short(t), 0, 0)
      pen.restore()
    })
    pen.strokeStyle = getComputedStyle(document.body).getPropertyValue("--mark").trim()
    pen.lineWidth = 1.5
    if (from < most) pen.strokeRect(label - 1, label + from * cell - 1, most * cell + 1, cell + 1)
    at("large-part").textContent = most < n ? fill(say.part, { most, n }) : ""
    at("large").onclick = (event) => {
      const row = Math.floor((event.offsetY - label) / cell)
      if (row >= 0 && row < most) { from = row; drawAttention() }
    }
  }
  const drawAttention = () => {
    const { tokens, looks } = shown, n = tokens.length
    from = Math.min(from, n - 1)
    for (const { l, h, canvas, button } of squares) {
      const pen = sharp(canvas, 72, 72), cell = 72 / n
      drawSquare(pen, looks[l][h], n, n, 0, 0, cell)
      button.setAttribute("aria-pressed", String(l === head[0] && h === head[1]))
    }
    const look = looks[head[0]][head[1]]
    drawLarge(look, tokens)
    const order = tokens.map((_, i) => i).sort((a, b) => look[from * n + b] - look[from * n + a])
    const most = order.slice(0, 3).map((i) => `${tokens[i]} ${percent(look[from * n + i])}`).join(" · ")
    const told = fill(say.looks, { layer: head[0] + 1, head: head[1] + 1, token: tokens[from], most })
    at("looks").textContent = told
    at("large").setAttribute("aria-label", told)
    at("from").replaceChildren(...tokens.map((t, i) =>
      element("option", { value: i, selected: i === from }, `${i + 1}  ${t}`)))
  }
  at("from").addEventListener("change", (event) => {
    from = Number(event.target.value)
    drawAttention()
  })

  // ---- From the keyboard to the page
  const update = () => {
    const text = field.value
    shown = model.answer(text, true)
    drawClass(shown, text)
    drawTokens(shown)
    drawAttention()
    leaveOut(text, shown.probabilities)
  }
  let waiting = 0
  field.addEventListener("input", () => {
    cancelAnimationFrame(waiting)
    waiting = requestAnimationFrame(update)
  })
  for (const example of document.querySelectorAll("#examples button")) {
    example.addEventListener("click", () => { field.value = example.textContent; update() })
  }
  const again = () => shown && drawAttention()
  window.addEventListener("resize", again)
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => setTimeout(again))

  // ---- How good it is
  if (liveFacts) {
    const { teacher, student, lost, rows, started, commit, megabytes, pieces } = liveFacts
    at("facts").textContent = fill(say.facts, {
      rows: number(rows, 0), student: percent(student.accuracy), teacher: percent(teacher.accuracy),
      low: percent(student.interval_95[0]), high: percent(student.interval_95[1]),
      lost: number(lost.points), from: number(lost.interval_95[0]).replace("-", "−"), to: number(lost.interval_95[1]),
      heads: percent(student.headlines_alone), learned: number(teacher.training_rows, 0), day: started.slice(0, 10), commit: commit.slice(0, 7),
      mb: number(megabytes), pieces: number(pieces, 0) })
  }
  if (document.fonts) document.fonts.ready.then(again)
  update()
})()
