// Let a form that is sent while its file is uploaded wait for the file.
//
// Streamlit disables the button during an upload, a moment after the file was chosen. The Enter key
// in a text field sends the form all the same, without the file. Here both wait until the button is
// enabled again. The script runs with every drawing of the page; one copy is enough.
if (!window.rkUploads) {
  window.rkUploads = true;
  const LIMIT = 3000; // milliseconds from the choice of a file to the start of its upload
  const button = () => document.querySelector("[data-testid=stBaseButton-primaryFormSubmit]");
  const inForm = (event) => event.target.closest("[data-testid=stForm]");
  let chosen = null; // when a file was chosen whose upload has not been seen yet
  let waiting = false;

  const uploads = () =>
    button()?.disabled || (chosen !== null && Date.now() - chosen < LIMIT);
  const wait = (event) => {
    if (!uploads()) return;
    event.preventDefault();
    event.stopImmediatePropagation();
    if (waiting) return;
    waiting = true;
    const timer = setInterval(() => {
      if (uploads()) return;
      clearInterval(timer);
      waiting = false;
      button()?.click();
    }, 50);
  };

  new MutationObserver(() => {
    if (button()?.disabled) chosen = null;
  }).observe(document.body, { attributes: true, attributeFilter: ["disabled"], subtree: true });
  for (const kind of ["change", "drop"])
    document.addEventListener(kind, (event) => {
      const files = event.target.matches("input[type=file]") || event.dataTransfer?.files.length;
      if (files && inForm(event)) chosen = Date.now();
    }, true);
  document.addEventListener("keydown", (event) => {
    const sends = event.target.matches("input[type=text]") || event.ctrlKey || event.metaKey;
    if (event.key === "Enter" && sends && inForm(event)) wait(event);
  }, true);
  document.addEventListener("click", (event) => {
    if (button() && event.target.contains(button())) wait(event); // its frame: it is disabled
    else if (button()?.contains(event.target)) wait(event);
  }, true);
}
