// Search over search-index.js, and scrolling boxes within reach of the keyboard. Nothing is loaded from elsewhere.
(() => {
  "use strict"
  const root = document.querySelector('meta[name="smalldocs:offset"]').content
  const MOST = 12, MOST_OF_A_PAGE = 3, LONGEST = 220
  const LANG = document.documentElement.lang
  const SAYS = {
    en: { none: (query) => `Nothing found for “${query}”. Try one word, or its beginning.` },
    es: { none: (query) => `No hay resultados para «${query}». Prueba con una sola palabra, o con su principio.` },
  }[LANG]

  // ---- A box that scrolls sideways gets a place in the order of the Tab key
  const reach = () => document.querySelectorAll("pre, .sd-table, .cell-output").forEach((box) => {
    if (box.scrollWidth > box.clientWidth + 1) box.tabIndex = 0
    else box.removeAttribute("tabindex")
  })
  reach()
  window.addEventListener("resize", reach)
  if (document.fonts) document.fonts.ready.then(reach)

  // ---- What matches, and how well
  // Without accents: a letter becomes one letter, so that places in a text stay
  const plain = (text) => text.normalize("NFC").replace(/[\u00c0-\u024f]/g, (c) => c.normalize("NFD")[0])
  const test = (word) => {
    const safe = "(^|[^a-z0-9])" + word.replace(/[.*+?^${}()|[\]\\]/g, "\\$&")
    return { word, start: new RegExp(safe, "i"), whole: new RegExp(safe + "(?![a-z0-9])", "i") }
  }
  const worth = (text, t) => {
    const bare = plain(text)
    if (bare.toLowerCase() === t.word) return 6
    return t.whole.test(bare) ? 3 : t.start.test(bare) ? 1 : 0
  }
  const rank = (entry, tests) => {
    let total = entry.section ? 0 : 1
    for (const t of tests) {
      const said = entry.sentences.filter((s) => t.start.test(plain(s))).length
      const own = 3 * worth(entry.section, t) + Math.min(said, 3)
      const page = own || !entry.section ? 3 * worth(entry.page, t) : 0
      if (!own && !page) return 0
      total += own + page
    }
    return total
  }
  const best = (sentences, tests) => {
    const value = (s) => tests.reduce((sum, t) => sum + t.start.test(plain(s)) + t.whole.test(plain(s)), 0)
    return sentences.reduce((a, b) => (value(b) > value(a) ? b : a), sentences[0] || "")
  }
  // The language of the page first; on a Spanish page then what there is in English only
  const own = (entry) => (entry.lang || "en") === LANG
  const search = (query) => {
    const tests = plain(query).toLowerCase().split(/\s+/).filter((w) => w.length > 1).map(test)
    const readable = window.searchIndex.filter((e) => own(e) || (LANG !== "en" && !e.twin))
    const ranked = readable.map((entry, n) => ({ entry, n, rank: rank(entry, tests) }))
    const seen = {}, of = (e) => e.href.split("#")[0]
    const found = ranked.filter((r) => r.rank)
      .sort((a, b) => own(b.entry) - own(a.entry) || b.rank - a.rank || a.n - b.n)
      .map((r) => r.entry)
      .filter((e) => (seen[of(e)] = (seen[of(e)] || 0) + 1) <= MOST_OF_A_PAGE)
    return { tests, found: found.slice(0, MOST) }
  }

  // ---- How a result looks: where it is, then one sentence with the words marked
  const clip = (sentence, tests) => {
    if (sentence.length <= LONGEST) return sentence
    const places = tests.map((t) => plain(sentence).search(t.start)).filter((i) => i >= 0)
    const from = Math.max(0, Math.min(...places, sentence.length) - 80)
    const begin = from ? sentence.indexOf(" ", from) + 1 : 0
    const end = sentence.lastIndexOf(" ", begin + LONGEST)
    const cut = begin + LONGEST < sentence.length
    return (begin ? "… " : "") + sentence.slice(begin, cut ? end : undefined) + (cut ? " …" : "")
  }
  const element = (tag, name, ...inside) => {
    const made = document.createElement(tag)
    made.className = name
    made.append(...inside)
    return made
  }
  const marked = (sentence, tests) => {
    const words = tests.map((t) => t.word.replace(/[.*+?^${}()|[\]\\]/g, "\\$&"))
    let from = 0
    const parts = plain(sentence).split(new RegExp(`((?<![a-z0-9])(?:${words.join("|")}))`, "i"))
    return parts.map((bare, n) => {
      const part = sentence.slice(from, (from += bare.length))
      return n % 2 ? element("mark", "", part) : part
    })
  }
  const result = (entry, tests) => {
    const where = [entry.chapter, entry.page].filter(Boolean).join(" › ")
    const link = element("a", "search-result",
      element("div", "search-result-title", where),
      element("div", "search-result-section", entry.section),
      element("div", "search-result-text", ...marked(clip(best(entry.sentences, tests), tests), tests)))
    link.href = root + entry.href
    if (!own(entry)) link.lang = entry.lang || "en"
    return link
  }

  // ---- The box
  const box = document.querySelector(".book-search")
  if (!box) return
  const input = box.querySelector("input"), results = box.querySelector(".book-results")
  let index = null
  const load = () => index ??= new Promise((done) => {
    const script = element("script", "")
    script.src = root + "search-index.js"
    script.onload = script.onerror = done
    document.head.append(script)
  })
  const hide = () => { results.hidden = true }
  const show = async () => {
    const query = input.value.trim()
    if (query.length < 2) return hide()
    await load()
    if (query !== input.value.trim()) return
    const { tests, found } = window.searchIndex ? search(query) : { found: [] }
    const none = element("p", "search-none", SAYS.none(query))
    results.replaceChildren(...(found.length ? found.map((e) => result(e, tests)) : [none]))
    results.hidden = false
    results.scrollTop = 0
  }
  const step = (by) => {
    const links = [...results.querySelectorAll("a")], at = links.indexOf(document.activeElement)
    const next = at + by
    if (next < 0) input.focus()
    else if (links[next]) links[next].focus()
  }
  input.addEventListener("input", show)
  input.addEventListener("focus", show)
  box.addEventListener("keydown", (event) => {
    if (event.key === "Escape") { hide(); input.blur() }
    else if (event.key === "ArrowDown" || event.key === "ArrowUp") {
      event.preventDefault()
      step(event.key === "ArrowDown" ? 1 : -1)
    } else if (event.key === "Enter" && document.activeElement === input) {
      const first = results.querySelector("a")
      if (first && !results.hidden) first.click()
    }
  })
  document.addEventListener("click", (event) => { if (!box.contains(event.target)) hide() })
  box.addEventListener("focusout", (event) => {
    if (event.relatedTarget && !box.contains(event.relatedTarget)) hide()
  })
  document.addEventListener("keydown", (event) => {
    const typing = /^(INPUT|TEXTAREA|SELECT)$/.test(document.activeElement.tagName)
    const slash = event.key === "/" && !typing && !event.ctrlKey && !event.metaKey && !event.altKey
    if (slash || ((event.ctrlKey || event.metaKey) && event.key === "k")) {
      event.preventDefault()
      input.focus()
    }
  })
})()
