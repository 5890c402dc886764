// Before the first paint: the theme a person chose, so that the page never flashes.
try {
  const theme = localStorage.getItem('cellblock.theme')
  if (theme === 'light' || theme === 'dark') document.documentElement.dataset.theme = theme
} catch {
  // Storage is refused: the system's theme it is.
}
