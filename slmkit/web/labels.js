() => {
  // gradio labels empty fields that have no role, which screen readers leave out: they are pictures
  const mend = () => document.querySelectorAll("div.empty[aria-label]:not([role])")
    .forEach((field) => field.setAttribute("role", "img"));
  new MutationObserver(mend).observe(document.body, { childList: true, subtree: true });
  mend();
}
