"The frame of a Spanish page: what stands around its text, in Spanish."
import re
import sys

# Titles of the side bar, and the words around a page
WORDS = {
    "Tutorials": "Tutoriales", "Explanations": "Explicaciones", "Core": "Base", "Data": "Datos",
    "Model": "Modelo", "Training": "Entrenamiento", "Evaluation": "Evaluación",
    "Prediction": "Predicción", "Runs": "Ejecuciones", "Serving": "Servicio",
    "Exercises": "Ejercicios", "Command line": "Línea de comandos", "Notebook": "Cuaderno",
    "Open in Colab": "Abrir en Colab", "Previous": "Anterior", "Next": "Siguiente"}
# What a fold says, in each edition, and the class that it gets
FOLDS = {
    "Hint": "hint", "Solution": "solution", "Answer": "answer",
    "Pista": "hint", "Solución": "solution", "Respuesta": "answer"}
# What is said to those who hear the page, or hover over it. Each must be found on every page.
TOLD = {
    'placeholder="Search" aria-label="Search"': 'placeholder="Buscar" aria-label="Buscar"',
    'aria-label="Search results"': 'aria-label="Resultados de la búsqueda"',
    'title="Toggle dark mode"': 'title="Cambiar entre modo claro y oscuro"',
    'aria-label="Toggle navigation"': 'aria-label="Mostrar u ocultar la barra"',
    'aria-label="Toggle sidebar navigation"': 'aria-label="Mostrar u ocultar el índice"',
    'aria-label="All pages"': 'aria-label="Todas las páginas"',
    'aria-label="breadcrumb"': 'aria-label="Dónde está esta página"',
    'aria-label="Next pages"': 'aria-label="Páginas siguientes"',
}
# Elements of the frame that hold one of WORDS and nothing else
PLACES = (
    r'(<span class="menu-text">)([^<]+)(</span>)', # the side bar
    r'(<li class="breadcrumb-item"><a [^>]*>)([^<]+)(</a>)',
    r'(<p class="page-links"><a [^>]*>)([^<]+)(</a>)',
    r'(<a class="colab" [^>]*>)([^<]+)(</a>)',
    r'(<div class="nav-page [^>]*><a [^>]*><span>)([^<]+)(</span>)')


def in_spanish(text: str, name: str) -> str:
    "One built page with its frame in Spanish; `name` is its address"
    if '<html lang="es">' not in text:
        sys.exit(f"{name}: does not say that it is in Spanish")
    for old, new in TOLD.items():
        if old not in text:
            sys.exit(f"{name}: smalldocs no longer writes {old}")
        text = text.replace(old, new)
    text = text.replace('title="Copy to Clipboard"', 'title="Copiar"') # where there is code
    for place in PLACES:
        text = re.sub(place, lambda m: m[1] + WORDS.get(m[2], m[2]) + m[3], text)
    return text
