// The page of `newsclf serve`. What is typed or chosen goes to the service that the page came
// from, and to nobody else. Texts and class names enter the page as text only, never as HTML.
"use strict"
;(() => {
  const at = (id) => document.getElementById(id)
  const on = (id, kind, run) => at(id).addEventListener(kind, run)
  const make = (tag, props, ...inside) => {
    const made = Object.assign(document.createElement(tag), props)
    made.append(...inside)
    return made
  }
  const makeButton = (words, onclick) => make("button", { type: "button", onclick }, ...words)
  const count = (n) => n.toLocaleString("en")
  const plural = (n, one, many = one + "s") => `${count(n)} ${n === 1 ? one : many}`
  const listed = (items, last) =>
    items.length < 2 ? items.join("") : `${items.slice(0, -1).join(", ")} ${last} ${items.at(-1)}`
  const points = (value) => `${(100 * value).toFixed(1)}%`
  // Whole percents, except at the ends: 99.96% is not certain, 0.02% is not impossible
  const percent = (p) => {
    if (p > 0.999 && p < 1) return ">99.9%"
    if (p > 0 && p < 0.001) return "<0.1%"
    return (p > 0.99 && p < 1) || (p > 0 && p < 0.01) ? points(p) : `${Math.round(100 * p)}%`
  }
  // What a screen reader is told, once
  let speaking = 0, spoken = ""
  const speak = (text, after = 0) => {
    clearTimeout(speaking)
    if (text === spoken) return
    speaking = setTimeout(() => { at("spoken").textContent = spoken = text }, after)
  }

  // ---- Asking the service
  const failure = (message, code, { status = 0, field = "" } = {}) =>
    Object.assign(new Error(message), { code, status, field })
  const send = async (path, { body, type = "application/json", signal } = {}) => {
    const headers = {}
    if (body !== undefined) headers["Content-Type"] = type
    if (access.key) headers.Authorization = `Bearer ${access.key}`
    try {
      const method = body === undefined ? "GET" : "POST"
      const answer = await fetch(path, { method, body, headers, signal })
      return { answer, text: await answer.text() }
    } catch (e) {
      if (signal?.aborted) throw e
      const found = "The service does not answer. It was stopped, or the network is down."
      throw failure(found, "network")
    }
  }
  const readJson = ({ answer: { status }, text }) => {
    try {
      return JSON.parse(text)
    } catch {
      throw failure(`No answer of this service (status ${status})`, "no_json", { status })
    }
  }
  const sleep = (seconds, signal) => new Promise((done, fail) => {
    setTimeout(done, 1000 * seconds)
    signal?.addEventListener("abort", () => fail(signal.reason))
  })
  // An answer, after as many waits and keys as it takes
  const ask = async (path, { onWait, ...how } = {}) => {
    for (;;) {
      const key = access.key, got = await send(path, how)
      const { ok, status, headers } = got.answer, found = readJson(got)
      if (ok) return found
      const wait = Number(headers.get("Retry-After")) || Number(status === 429)
      if (status === 401) await newKey(key, how.signal)
      else if (wait && (status === 429 || status === 503)) {
        onWait?.(wait)
        await sleep(Math.min(wait, 60), how.signal)
      } else {
        const { code, message = `The service fails (status ${status})`, field } = found.error || {}
        throw failure(message, code, { status, field })
      }
    }
  }
  // Prediction sets are asked for until the service says that this model has none
  let sets = 0.95
  const classify = async (body, how) => {
    const asked = sets ? { ...body, sets } : body
    try {
      return await ask("/v1/classify", { body: JSON.stringify(asked), ...how })
    } catch (e) {
      if (e.code !== "no_sets" || !asked.sets) throw e
      sets = null
      return classify(body, how)
    }
  }
  // An error beside its cause, with a button where asking once more may help
  const showError = (place, error, again) => {
    if (error.name === "AbortError") return
    const told = error.message.charAt(0).toUpperCase() + error.message.slice(1)
    const parts = [make("p", {}, /[.!?]$/.test(told) ? told : `${told}.`)]
    const may = error.code === "network" || error.status >= 500
    if (again && may) parts.push(makeButton(["Try again"], again))
    at(place).replaceChildren(...parts)
  }
  const noError = (...places) => places.forEach((place) => at(place).replaceChildren())
  const showBusy = (place) => (wait) =>
    showError(place, new Error(`The service is busy; asking again in ${plural(wait, "second")}`))

  // ---- The key, where the service wants one
  const access = { key: "", waiting: [] }
  try {
    access.key = sessionStorage.getItem("newsclf-key") || ""
  } catch { /* storage is denied */ }

  const newKey = (tried, signal) => {
    if (tried !== access.key) return Promise.resolve() // another request got it meanwhile
    if (at("key-form").hidden) {
      at("key-form").hidden = false
      at("key-error").textContent = tried ? "The service does not know this key." : ""
      if (!field.value) at("key").focus()
      speak("This service needs a key.")
    }
    return new Promise((done, fail) => {
      access.waiting.push(done)
      signal?.addEventListener("abort", () => fail(signal.reason))
    })
  }
  on("key-form", "submit", (event) => {
    event.preventDefault()
    access.key = at("key").value.trim()
    try { sessionStorage.setItem("newsclf-key", access.key) } catch { /* storage is denied */ }
    at("key").value = spoken = ""
    at("key-form").hidden = true
    at("main").focus()
    drawCommand()
    for (const done of access.waiting.splice(0)) done()
  })

  // ---- Bars: {name: part of 1}, each with its value in words, and a tick where it was before
  const MOST_BARS = 8
  const newBar = () => {
    const part = (className, ...inside) => make("span", { className }, ...inside)
    const track = part("track", part("bar"), part("tick"))
    track.setAttribute("aria-hidden", "true")
    return make("li", {}, part("name"), track, part("value"))
  }
  const drawBars = (list, parts, words, before) => {
    const ranked = Object.keys(parts).sort((a, b) => parts[b] - parts[a])
    const many = ranked.length > MOST_BARS
    const names = many ? ranked.slice(0, MOST_BARS) : Object.keys(parts)
    while (list.children.length < names.length) list.append(newBar())
    while (list.children.length > names.length) list.lastChild.remove()
    names.forEach((name, i) => {
      const row = list.children[i], [label, track, value] = row.children
      row.className = name === ranked[0] ? "top" : ""
      label.textContent = label.title = name
      value.textContent = words(name)
      const [bar, tick] = track.children
      bar.style.width = `${100 * parts[name]}%`
      tick.style.left = `${100 * (before?.[name] ?? 0)}%`
      tick.hidden = !before
    })
    return ranked.slice(names.length) // those not drawn
  }

  // ---- An article
  const MOST_WORDS = 20 // that are marked
  const field = at("text")
  const now = { asking: new AbortController(), timers: [], result: null, words: [] }
  now.left = new Set() // numbers of the words that are left out

  const because = (why) => {
    const below = /^confidence (.+)%, below the threshold (.+)%$/.exec(why)
    if (!below) return why.replace(/^auto-filing off/, "auto-filing is off")
    const exact = below.slice(1), rounded = exact.map((n) => String(Math.floor(10 * n) / 10))
    const [confidence, threshold] = rounded[0] === rounded[1] ? exact : rounded
    return `the confidence ${confidence}% is below the threshold ${threshold}%`
  }
  const decisionWords = ({ decision, why }) => decision === "auto"
    ? "can be filed without review." : `needs a review, because ${because(why)}.`
  const setWords = ({ set }) => {
    if (!set) return ""
    const names = set.length > 1 ? listed(set, "or") : `${set[0]} alone`
    return `With ${percent(sets || 0.95)} coverage it is ${names}.`
  }
  const sentence = (r) =>
    `${r.label}, ${percent(r.confidence)}: ${decisionWords(r)} ${setWords(r)}`.trim()

  const showResult = (r, before) => {
    const part = (className, text) => make("span", { className }, text)
    const head = part(r.label.length > 12 ? "head long" : "head", "")
    head.append(make("strong", { className: "label" }, r.label), part("far", ", "),
      part("sure", percent(r.confidence)), part("far", ": "))
    at("sentence").replaceChildren(head, part(`decision ${r.decision}`, decisionWords(r)))
    at("coverage").textContent = setWords(r)
    const words = (name) => percent(r.probabilities[name])
    const rest = drawBars(at("bars"), r.probabilities, words, before?.probabilities)
    const sum = rest.reduce((total, name) => total + r.probabilities[name], 0)
    const others = plural(rest.length, "other class", "other classes")
    at("others").textContent = rest.length ? `And ${others}, together ${percent(sum)}.` : ""
    const kicker = r.decision === "auto" ? "Filed under" : "Most likely"
    at("kicker").textContent = before ? `Without ${plural(now.left.size, "word")}` : kicker
    at("result").classList.remove("old")
    at("result").hidden = at("why").hidden = false
    at("invite").hidden = true
    if (!before) speak(sentence(r), 700)
  }
  const showNothing = () => {
    at("result").hidden = at("why").hidden = true
    at("invite").hidden = field.value.trim() !== ""
  }
  const stopAsking = () => {
    now.asking.abort()
    now.asking = new AbortController()
    now.timers.splice(0).forEach(clearTimeout)
    return now.asking.signal
  }
  // After each change of the text: the class at once, the words at the next pause
  const changed = (soon = 150, pause = 600) => {
    const signal = stopAsking()
    forgetWords()
    noError("text-error", "why-error")
    if (!field.value.trim()) return showNothing()
    at("result").classList.add("old")
    now.timers = [setTimeout(answerText, soon, signal), setTimeout(explainText, pause, signal)]
  }
  const fail = (error) => {
    stopAsking()
    showNothing()
    showError("text-error", error, () => changed(0))
  }
  // The class; with `explain`, the words as well
  const answerText = async (signal, explain) => {
    const text = field.value, body = explain ? { text, explain } : { text }
    if (explain) setBusy(true)
    try {
      const how = { signal, onWait: showBusy("text-error") }
      const { results: [r], model } = await classify(body, how)
      if (signal.aborted || (now.result && !explain)) return // the words may have come first
      noError("text-error", "why-error")
      showResult(r)
      if (about.model && model.sha256 !== about.model.sha256) loadModel() // another one is served
      if (explain) showWords(text, r)
      else now.plain = r
    } catch (e) {
      if (signal.aborted) return
      if (!explain || at("why").hidden) return fail(e)
      if (now.plain) showWords(text, now.plain) // none is marked, but all can be left out
      setBusy(false)
      showError("why-error", e, () => at("ask-why").click())
    }
  }
  const explainText = (signal) => answerText(signal, MOST_WORDS)

  // ---- Why: the words that drove the label, and the text without some of them
  const showWords = (text, r) => {
    now.result = r
    now.words = wordsOf(text, r.words || [])
    now.known = Boolean(r.words) // which words matter
    drawWords(text)
    remember(text, r)
    setBusy(false)
    at("ask-why").hidden = true
  }
  const setBusy = (busy) => {
    at("why").classList.toggle("busy", busy)
    at("ask-why").hidden = busy
  }
  const forgetWords = () => {
    now.result = now.plain = null
    now.words = []
    now.known = false
    now.left.clear()
    setBusy(false)
    at("words").inert = true // and pale, until the new words come
    at("all-back").hidden = true
    for (const id of ["word-says", "change"]) at(id).textContent = ""
  }

  // The service counts in code points, as Python does; JavaScript in halves of surrogate pairs
  const codePoints = (text) => {
    const starts = []
    let i = 0
    for (const c of text) {
      starts.push(i)
      i += c.length
    }
    return [...starts, i]
  }
  const LETTER = "[\\p{L}\\p{N}_]"
  const WORD = new RegExp(
    `${LETTER}(?:${LETTER}|[\\p{M}\\p{Cf}]|['’.&\\u2010\\u2011-](?=${LETTER}))*`, "gu")

  // Each word with all its places in the text: those that drove the label, then the others
  const wordsOf = (text, driving) => {
    const starts = codePoints(text), others = new Map()
    const words = driving.map(({ places, ...word }) =>
      ({ ...word, places: places.map(([a, b]) => [starts[a], starts[b]]) }))
    if (text.length > 30000) return words // too many others to draw
    const taken = words.flatMap((w) => w.places).sort((x, y) => x[0] - y[0])
    let done = 0
    for (const [start, end] of [...taken, [text.length, text.length]]) {
      for (const { 0: word, index } of text.slice(done, start).matchAll(WORD)) {
        const key = word.toLowerCase(), from = done + index
        if (!others.has(key)) others.set(key, { word, fall: 0, places: [] })
        others.get(key).places.push([from, from + word.length])
      }
      done = end
    }
    return [...words, ...others.values()]
  }
  const wordButton = (i, text) => {
    // Not a <button>, which would not break into lines, nor be selected, like a word of a text
    const button = make("span", { tabIndex: i ? -1 : 0 }, text), { fall } = now.words[i]
    button.dataset.word = i
    button.setAttribute("role", "button")
    button.setAttribute("aria-pressed", "false")
    if (fall > 0.05) {
      button.className = "marked"
      button.style.setProperty("--strength", (0.08 + 0.4 * Math.min(1, fall / 2)).toFixed(2))
    }
    return button
  }
  const drawWords = (text) => {
    const spans = now.words.flatMap(({ places }, i) => places.map(([a, b]) => [a, b, i]))
    const out = []
    let done = 0
    for (const [a, b, i] of spans.sort((x, y) => x[0] - y[0])) {
      out.push(text.slice(done, a), wordButton(i, text.slice(a, b)))
      done = b
    }
    at("words").replaceChildren(...out, text.slice(done))
    at("words").inert = false
    const none = now.known && !now.words.some(({ fall }) => fall > 0)
    at("word-says").textContent = none ? "No single word decides." : ""
  }
  const quoted = ({ word }) => `“${word}”`
  const tellWord = (word) => {
    const { label, confidence } = now.result
    at("word-says").textContent = word.fall > 0
      ? `Without ${quoted(word)}: ${label} ${percent(confidence)} → ${percent(word.without)}.`
      : `${quoted(word)} is not among the words that ${label} needs most.`
  }
  const wordAt = (event) => event.target.closest?.("[data-word]")
  for (const kind of ["mouseover", "focusin"]) {
    on("words", kind, (event) => {
      const button = wordAt(event)
      if (button && now.known && !now.left.size) tellWord(now.words[button.dataset.word])
    })
  }
  const allWords = () => [...at("words").querySelectorAll("[data-word]")]
  const toggleWord = (button) => {
    focusWord(button)
    const i = Number(button.dataset.word)
    if (!now.left.delete(i)) now.left.add(i)
    tryWithout()
  }
  on("words", "click", (event) => wordAt(event) && toggleWord(wordAt(event)))
  // One stop of the Tab key; the arrows move inside, up and down to marked words only
  const focusWord = (button) => {
    for (const b of allWords()) b.tabIndex = b === button ? 0 : -1
    button.focus()
  }
  on("words", "keydown", (event) => {
    const back = ["ArrowLeft", "ArrowUp", "Home"].includes(event.key)
    const ahead = ["ArrowRight", "ArrowDown", "End"].includes(event.key)
    const press = event.key === "Enter" || event.key === " "
    if (!(back || ahead || press) || event.ctrlKey || event.altKey || event.metaKey) return
    event.preventDefault()
    if (press) return toggleWord(wordAt(event))
    const marked = event.key === "ArrowUp" || event.key === "ArrowDown"
    const all = allWords(), here = all.indexOf(wordAt(event))
    const side = back ? all.slice(0, here).reverse() : all.slice(here + 1)
    const found = side.filter((b) => !marked || b.className === "marked")
    const next = event.key === "Home" || event.key === "End" ? found.at(-1) : found[0]
    if (next) focusWord(next)
  })

  // As the service leaves words out: with the spaces before them
  const without = (text, places) => {
    let out = "", done = 0
    for (const [a, b] of places.sort((x, y) => x[0] - y[0])) {
      const before = text.slice(done, a), glued = /^[\p{L}\p{N}]/u.test(text.slice(b, b + 2))
      out += glued ? before : before.trimEnd()
      done = b
    }
    return (out + text.slice(done)).trimStart()
  }
  const changeWords = (words, { label, confidence }, r) => {
    const names = words.slice(0, 3).map(quoted)
    if (words.length > 3) names.push(plural(words.length - 3, "other word"))
    const fell = `${percent(confidence)} → ${percent(r.probabilities[label])}`
    const line = `Without ${listed(names, "and")}: ${label} ${fell}.`
    return r.label === label ? line : `${line} Now it is ${r.label}, ${percent(r.confidence)}.`
  }
  const tryWithout = async () => {
    const signal = stopAsking(), before = now.result
    const words = [...now.left].map((i) => now.words[i])
    for (const b of allWords()) {
      b.setAttribute("aria-pressed", String(now.left.has(Number(b.dataset.word))))
    }
    at("all-back").hidden = !words.length
    at("word-says").textContent = ""
    noError("why-error")
    const rest = without(field.value, words.flatMap((w) => w.places))
    if (!words.length) {
      showResult(before)
      at("change").textContent = `With all words: ${before.label} ${percent(before.confidence)}.`
      return
    }
    if (!/[\p{L}\p{N}]/u.test(rest)) {
      at("change").textContent = "Without these words, nothing is left to classify."
      return
    }
    at("result").classList.add("old")
    try {
      const how = { signal, onWait: showBusy("why-error") }
      const { results: [r] } = await classify({ text: rest }, how)
      if (signal.aborted) return
      noError("why-error")
      showResult(r, before)
      at("change").textContent = changeWords(words, before, r)
    } catch (e) {
      showError("why-error", e, tryWithout)
    }
  }
  on("all-back", "click", () => {
    now.left.clear()
    focusWord(allWords()[0])
    tryWithout()
  })
  on("ask-why", "click", () => {
    const { plain } = now, signal = stopAsking()
    forgetWords()
    now.plain = plain
    if (plain) showResult(plain) // with all words
    noError("why-error")
    explainText(signal)
  })
  on("text", "input", (event) => changed(event.inputType === "insertFromPaste" ? 0 : 150))
  const useText = (text) => {
    location.hash = "article"
    showView()
    field.value = text
    changed(0, 0)
    const touch = matchMedia("(pointer: coarse)").matches // where a keyboard would cover the page
    at(touch ? "article-title" : "text").focus()
  }
  for (const button of at("examples").querySelectorAll("button")) {
    button.addEventListener("click", () => useText(button.textContent))
  }

  // ---- Recent texts, in this browser only; without storage they last as long as the page
  const MOST_KEPT = 20, kept = []
  try {
    const found = JSON.parse(localStorage.getItem("newsclf-texts")) || []
    kept.push(...found.filter(({ text, label }) => typeof text === "string" && label))
  } catch { /* denied, or not ours */ }

  const store = () => {
    for (let n = kept.length; n >= 0; n--) { // fewer, if there is no room for all
      try {
        return localStorage.setItem("newsclf-texts", JSON.stringify(kept.slice(0, n)))
      } catch { /* no room, or denied */ }
    }
    at("history-where").textContent = "Kept until you close this page: the browser stores nothing."
  }
  // Two states of one text while it is written: the longer one adds words to the other
  const sameDraft = (a, b) => {
    const least = Math.min(a.length, b.length)
    let head = 0, tail = 0
    while (head < least && a[head] === b[head]) head++
    while (tail < least - head && a.at(-1 - tail) === b.at(-1 - tail)) tail++
    return head + tail >= least && least > 0.3 * Math.max(a.length, b.length)
  }
  const remember = (text, { label, confidence }) => {
    const old = kept.findIndex((e, i) => e.text === text || (!i && sameDraft(e.text, text)))
    if (old >= 0) kept.splice(old, 1)
    kept.unshift({ text, label, confidence })
    kept.splice(MOST_KEPT)
    store()
    drawHistory()
  }
  const drawHistory = () => {
    at("history").hidden = !kept.length
    at("history-list").replaceChildren(...kept.map(({ text, label, confidence }) => {
      const words = make("span", { className: "words" }, text.trim().slice(0, 200))
      const filed = make("span", { className: "filed" }, `${label}, ${percent(confidence)}`)
      return make("li", {}, makeButton([words, " ", filed], () => useText(text)))
    }))
  }
  on("forget", "click", () => {
    kept.splice(0)
    store()
    drawHistory()
    field.focus()
    speak("The recent texts are cleared.")
  })

  // ---- A file: its rows are read by the service, then classified 64 at a time
  const MOST_TEXTS = 64, LANES = 2, PAGE = 200
  let job = null

  const chooseFile = async (chosen) => {
    job?.stop.abort()
    noError("file-error")
    at("job").hidden = true
    const mine = job = { name: chosen.name, rows: [], stop: new AbortController(), shown: PAGE,
      sort: { by: "line", down: false } }
    const { signal } = mine.stop
    try {
      const body = await chosen.arrayBuffer().catch(() => {
        throw new Error(`The browser cannot read ${chosen.name}`)
      })
      const how = { body, type: "text/csv", signal, onWait: showBusy("file-error") }
      const found = await ask("/v1/rows", how)
      if (signal.aborted) return
      noError("file-error")
      openJob(mine, found)
    } catch (e) {
      // A service that refuses a body by its length may close the connection first
      const large = e.status === 413 || (e.code === "network" && chosen.size > 2 * 2 ** 20)
      const size = `${(chosen.size / 1e6).toFixed(1)} MB`
      const told = `This file has ${size}, more than the service takes at once. ` +
        "For large files there is a command: newsclf predict --input FILE"
      return showError("file-error", large ? new Error(told) : e, () => chooseFile(chosen))
    }
    runJob(mine)
  }
  const openJob = (mine, { columns, rows, rejected }) => {
    const bad = rejected.map(({ line, message }) => ({ line, error: message, record: {} }))
    mine.columns = columns
    mine.rows = [...rows, ...bad].sort((a, b) => a.line - b.line)
    for (const row of rows) if (!row.text.trim()) row.error = "the text is empty"
    at("job-name").textContent = `${mine.name}: ${plural(mine.rows.length, "row")}`
    for (const id of ["by-decision", "by-label"]) at(id).value = ""
    drawHead()
    drawJob()
    at("job").hidden = false
  }
  const unfinished = (mine) => mine.rows.filter((row) => !row.result && !row.error)

  const runJob = async (mine) => {
    const todo = unfinished(mine), parts = []
    for (let i = 0; i < todo.length; i += MOST_TEXTS) parts.push(todo.slice(i, i + MOST_TEXTS))
    const stop = new AbortController(), started = performance.now()
    Object.assign(mine, { stop, started, todo: todo.length, running: true })
    noError("file-error")
    drawProgress(mine)
    const lane = async () => {
      while (parts.length && !stop.signal.aborted) await answerRows(mine, parts.shift())
    }
    try {
      await Promise.all(Array.from({ length: LANES }, lane))
    } catch (e) {
      stop.abort() // the other lane, too
      if (mine === job) showError("file-error", e)
    }
    mine.running = false
    if (mine !== job) return
    drawJob()
    speak(jobWords(mine))
  }
  // One request; a text that is refused is set aside, and the others are asked once more
  const answerRows = async (mine, rows) => {
    const onWait = (wait) => drawProgress(mine, `The service is busy; going on in ${wait} s.`)
    try {
      const texts = rows.map((row) => row.text)
      const { results } = await classify({ texts }, { signal: mine.stop.signal, onWait })
      rows.forEach((row, i) => { row.result = results[i] })
    } catch (e) {
      if (!e.status) throw e // cancelled, or no answer at all
      const bad = rows[/^texts\[(\d+)\]/.exec(e.field)?.[1]], half = rows.length >> 1
      for (const row of bad ? [bad] : half ? [] : rows) row.error = e.message
      const rest = rows.filter((row) => !row.error)
      const parts = bad ? [rest] : [rest.slice(0, half), rest.slice(half)]
      for (const part of parts) if (part.length) await answerRows(mine, part)
    }
    if (mine === job) drawJob()
  }

  const timeLeft = (mine, left) => {
    const done = mine.todo - left
    if (!done || !left) return ""
    const seconds = (performance.now() - mine.started) / 1000 * left / done
    return seconds < 90 ? `, about ${Math.ceil(seconds)} s left`
      : `, about ${plural(Math.round(seconds / 60), "minute")} left`
  }
  const jobWords = (mine) => {
    const left = unfinished(mine).length, all = mine.rows.length
    if (mine.running) return `${count(all - left)} of ${plural(all, "row")}${timeLeft(mine, left)}`
    return left ? `Stopped: ${count(left)} of ${plural(all, "row")} are not classified.`
      : `${plural(all, "row")}, all done.`
  }
  const drawProgress = (mine, words = jobWords(mine)) => {
    const left = unfinished(mine).length
    at("progress").max = mine.rows.length || 1
    at("progress").value = mine.rows.length - left
    at("job-says").textContent = words
    at("cancel").hidden = !mine.running
    at("go-on").hidden = mine.running || !left
  }
  const drawJob = () => {
    const kinds = { auto: 0, review: 0, failed: 0 }, labels = {}
    for (const { error, result } of job.rows) {
      if (error) kinds.failed++
      if (!result) continue
      kinds[result.decision]++
      labels[result.label] = (labels[result.label] || 0) + 1
    }
    const fact = (words, n) =>
      make("div", {}, make("dt", {}, words), make("dd", {}, make("b", {}, count(n))))
    const failed = kinds.failed ? [fact("failed", kinds.failed)] : []
    at("counts").replaceChildren(fact("can be filed without review", kinds.auto),
      fact("need a review", kinds.review), ...failed)
    drawLabels(labels)
    drawProgress(job)
    drawRows()
  }
  const drawLabels = (labels) => {
    const names = (about.model?.classes || Object.keys(labels)).filter((name) => labels[name])
    const all = names.reduce((sum, name) => sum + labels[name], 0)
    const parts = Object.fromEntries(names.map((name) => [name, labels[name] / all]))
    drawBars(at("shares"), parts, (name) => count(labels[name]))
    const options = [...at("by-label").options].slice(1).map((option) => option.value)
    if (options.join("\n") === names.join("\n")) return // it may be open
    const chosen = at("by-label").value
    at("by-label").replaceChildren(make("option", { value: "" }, "all"),
      ...names.map((value) => make("option", { value }, value)))
    at("by-label").value = labels[chosen] ? chosen : ""
  }

  // The table: what was answered, then the columns of the file
  const OURS = { line: "Line", label: "Label", confidence: "Confidence", decision: "Decision" }
  const { compare } = new Intl.Collator("en", { numeric: true })
  const sortKey = (row, by) => {
    if (by === "line") return row.line
    return by in OURS ? row.result?.[by] : row.record[by.slice(1)] ?? ""
  }
  const drawHead = () => {
    const own = job.columns.map((name) => [`_${name}`, name])
    at("head").replaceChildren(...[...Object.entries(OURS), ...own].map(([by, name]) => {
      const button = makeButton([name], () => sortBy(by, job.sort.by === by && !job.sort.down))
      const number = by === "line" || by === "confidence"
      const cell = make("th", { scope: "col", className: number ? "number" : "" }, button)
      cell.dataset.by = by
      return cell
    }))
    sortBy("line", false)
  }
  const sortBy = (by, down) => {
    job.sort = { by, down }
    const way = down ? "descending" : "ascending"
    for (const cell of at("head").children) {
      cell.setAttribute("aria-sort", cell.dataset.by === by ? way : "none")
    }
    drawRows()
  }
  const chosenRows = () => {
    const decision = at("by-decision").value, label = at("by-label").value
    const { by, down } = job.sort
    const rows = job.rows.filter(({ result, error }) => (!label || result?.label === label) &&
      (!decision || (error ? "failed" : result?.decision) === decision))
    const known = (row) => sortKey(row, by) !== undefined // the others come last
    const order = (a, b) => {
      const x = sortKey(a, by), y = sortKey(b, by)
      return (down ? -1 : 1) * (typeof x === "number" ? x - y : compare(x, y))
    }
    return [...rows.filter(known).sort(order), ...rows.filter((row) => !known(row))]
  }
  const drawRows = () => {
    const rows = chosenRows(), shown = rows.slice(0, job.shown), all = plural(rows.length, "row")
    const focused = document.activeElement?.dataset.line
    at("rows").replaceChildren(...shown.map(drawRow))
    if (focused) at("rows").querySelector(`[data-line="${focused}"]`)?.focus()
    at("more").hidden = rows.length === shown.length
    at("table-says").textContent =
      rows.length > shown.length ? `The first ${count(shown.length)} of ${all}.` : `${all}.`
  }
  const drawRow = (row) => {
    const cell = (className, text, more) => make("td", { className, ...more }, text)
    const wide = (className, text) => [cell(className, text, { colSpan: 3 })]
    const answer = row.error ? wide("fails", `Failed: ${row.error}`)
      : row.result ? answerCells(row) : wide("", "…")
    const own = job.columns.map((name) => cell("cell", (row.record[name] ?? "").slice(0, 200)))
    return make("tr", {}, cell("number", count(row.line)), ...answer, ...own)
  }
  const answerCells = ({ line, text, result: { label, confidence, decision } }) => {
    const why = makeButton([label], () => useText(text))
    why.dataset.line = line
    why.title = `${label}: open line ${line} as an article`
    why.setAttribute("aria-label", why.title)
    const words = decision === "auto" ? "can be filed" : "needs a review"
    return [make("td", {}, why), make("td", { className: "number" }, percent(confidence)),
      make("td", { className: decision }, words)]
  }

  // The file with what was answered, as CSV that a spreadsheet does not run
  const RUNS = /^[\t\r]|^[\s\p{Cc}\p{Cf}]*[=+\-@\u2212\uff1d\uff0b\uff0d\uff20]/u
  const NUMBER = /^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i
  const csvCell = (value) => {
    const safe = RUNS.test(value) && !NUMBER.test(value) ? `'${value}` : value
    return /[",\r\n]|^\s|\s$/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe
  }
  const csvText = ({ columns, rows }) => {
    const answers = {
      label: ({ result }) => result?.label,
      confidence: ({ result }) => result && String(Number(result.confidence.toFixed(6))),
      decision: ({ result, error }) => error ? "failed" : result?.decision,
    }
    if (rows.some(({ result }) => result?.set)) {
      answers.set = ({ result }) => result?.set && JSON.stringify(result.set)
    }
    if (rows.some(({ error }) => error)) {
      answers.error = ({ line, error }) => error && `line ${line}: ${error}`
    }
    let ours = Object.keys(answers)
    while (ours.some((n) => columns.includes(n))) ours = ours.map((n) => `newsclf_${n}`)
    const cells = (row) => [...columns.map((name) => row.record[name]),
      ...Object.values(answers).map((answer) => answer(row))]
    const table = [[...columns, ...ours], ...rows.map(cells)]
    return table.map((line) => line.map((c) => csvCell(c ?? "")).join(",") + "\r\n").join("")
  }
  on("download", "click", () => {
    const content = ["\ufeff", csvText(job)] // the mark tells Excel that it is UTF-8
    const href = URL.createObjectURL(new Blob(content, { type: "text/csv;charset=utf-8" }))
    make("a", { href, download: `${job.name.replace(/\.csv$/i, "")}-classified.csv` }).click()
    setTimeout(() => URL.revokeObjectURL(href), 60000)
  })
  on("cancel", "click", () => {
    job.stop.abort()
    at("go-on").hidden = false
    at("go-on").focus()
  })
  on("go-on", "click", () => {
    runJob(job)
    at("cancel").focus()
  })
  on("more", "click", () => {
    job.shown += PAGE
    drawRows()
  })
  for (const id of ["by-decision", "by-label"]) on(id, "change", () => drawRows())
  on("choose", "change", () => {
    if (at("choose").files.length) chooseFile(at("choose").files[0])
    at("choose").value = "" // so that the same file can be chosen once more
  })
  // A file may be dropped anywhere
  for (const kind of ["dragover", "dragleave", "drop"]) {
    addEventListener(kind, (event) => {
      if (!event.dataTransfer?.types.includes("Files")) return
      event.preventDefault()
      at("drop").classList.toggle("over", kind === "dragover")
      const [dropped] = kind === "drop" ? event.dataTransfer.files : []
      if (!dropped) return
      location.hash = "file"
      chooseFile(dropped)
    })
  }

  // ---- The model
  const about = { model: null }
  const loadModel = async () => {
    try {
      about.model = await ask("/v1/model")
      noError("model-error")
      drawModel(about.model)
    } catch (e) {
      showError("model-error", e, loadModel)
    }
  }
  const METRICS = { accuracy: "Accuracy", macro_f1: "Macro F1" }
  const drawMetric = ([name, { value, interval, rows }]) => {
    const range = interval && `95% interval: ${interval.map(points).join(" to ")}`
    const test = rows && plural(rows, "test row")
    const lines = [range, test].filter(Boolean).map((line) => make("span", {}, line))
    const title = make("dt", {}, METRICS[name] || name.replaceAll("_", " "))
    return make("div", {}, title, make("dd", {}, make("b", {}, points(value)), ...lines))
  }
  const drawModel = (model) => {
    sets = !model.sets || model.sets.includes(0.95) ? 0.95 : model.sets[0] ?? null
    at("model-name").textContent = `${model.name} · ${model.sha256.slice(0, 8)}`
    const columns = listed(model.columns.map((name) => `“${name}”`), "and")
    if (columns) at("file-needs").textContent =
      `A CSV file with a header. The model reads ${columns}; all other columns are kept.`
    const metrics = Object.entries(model.metrics || {}).filter(([, m]) => m?.value >= 0)
    at("metrics").replaceChildren(...metrics.map(drawMetric))
    at("no-metrics").hidden = metrics.length > 0
    const coverages = listed((model.sets || []).map(percent), "and")
    const pairs = {
      "Name": model.name, "Decisions": model.decisions,
      ...(model.shift && { "Articles so far": model.shift }), "Classes": listed(model.classes, "and"),
      "Columns": listed(model.columns, "and") || "not known",
      "Prediction sets": coverages ? `${coverages} coverage` : "none",
      "Precision": [model.precision, model.why].filter(Boolean).join(": "),
      "Digest (SHA-256)": make("code", {}, model.sha256), "Version": model.newsclf,
    }
    at("pairs").replaceChildren(...Object.entries(pairs).flatMap(([name, value]) =>
      [make("dt", {}, name), make("dd", {}, value ?? "")]))
    at("model-facts").hidden = false
  }
  const drawCommand = () => {
    const lines = [`curl ${location.origin}/v1/classify`, "-H 'Content-Type: application/json'"]
    if (access.key) lines.push("-H 'Authorization: Bearer YOUR-KEY'")
    lines.push(`-d '{"text": "Oil slips as tankers return to port"}'`)
    at("curl").textContent = lines.join(" \\\n    ")
  }

  // ---- Three views, each with an address
  const VIEWS = { article: "An article", file: "A file", model: "The model" }
  const showView = (event) => {
    const asked = location.hash.slice(1), view = asked in VIEWS ? asked : "article"
    if (event && view !== asked && asked) return // the skip link
    for (const id in VIEWS) at(id).hidden = id !== view
    for (const link of document.querySelectorAll("nav a")) {
      link.ariaCurrent = link.hash === `#${view}` ? "page" : null
    }
    document.title = `${VIEWS[view]} – newsclf`
    if (view === "model" && !about.model) loadModel()
    if (event && document.activeElement !== field) {
      at(`${view}-title`).focus({ preventScroll: true })
    }
  }
  addEventListener("hashchange", showView)
  at("origin").textContent = location.host
  showView()
  drawCommand()
  drawHistory()
  loadModel()
  if (field.value.trim()) changed(0) // what the browser kept over a reload
})()
