// Runs before anything is drawn, so that no page flashes in the wrong theme; therefore a plain script, not a module.
{
  const theme = localStorage.getItem("edgekd.theme");
  if (theme === "light" || theme === "dark") {
    document.documentElement.dataset.theme = theme;
  }
}
