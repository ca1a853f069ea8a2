// Light or dark before the page is drawn: as chosen elsewhere on the site, or as the system says.
"use strict"
;(() => {
  const system = matchMedia("(prefers-color-scheme: dark)")
  const choose = () => {
    let kept = null
    try { kept = localStorage.getItem("smalldocs-scheme") } catch { /* a file may keep nothing */ }
    const dark = kept ? kept === "alternate" : system.matches
    document.documentElement.classList.toggle("quarto-dark", dark)
  }
  system.addEventListener("change", choose)
  choose()
})()
