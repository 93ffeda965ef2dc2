/** Light and dark: as the system has it, until somebody chooses. */

const KEPT = 'swim-theme';

/**
 * Let a button change the theme; `onChange` is called whenever colours are others than before.
 * @param {HTMLButtonElement} button
 * @param {() => void} onChange
 */
export function followTheme(button, onChange) {
  const system = matchMedia('(prefers-color-scheme: dark)');
  const chosen = kept();
  apply(chosen ?? (system.matches ? 'dark' : 'light'));
  system.addEventListener('change', () => {
    if (kept() === null) apply(system.matches ? 'dark' : 'light');
    onChange();
  });
  button.addEventListener('click', () => {
    const next = document.documentElement.dataset.theme === 'dark' ? 'light' : 'dark';
    try {
      localStorage.setItem(KEPT, next);
    } catch {
      // A browser that keeps nothing: the choice holds for this page.
    }
    apply(next);
    onChange();
  });

  /** @param {string} theme */
  function apply(theme) {
    document.documentElement.dataset.theme = theme;
    button.setAttribute('aria-label', theme === 'dark' ? 'Use light colours' : 'Use dark colours');
    button.title = theme === 'dark' ? 'Light colours' : 'Dark colours';
  }
}

/** @returns {'light' | 'dark' | null} */
function kept() {
  try {
    const found = localStorage.getItem(KEPT);
    return found === 'light' || found === 'dark' ? found : null;
  } catch {
    return null;
  }
}

/**
 * Read colours of the style sheet, for what is drawn on a canvas.
 * @template {string} N
 * @param {readonly N[]} names
 * @returns {Record<N, string>}
 */
export function colours(names) {
  const style = getComputedStyle(document.documentElement);
  return /** @type {Record<N, string>} */ (
    Object.fromEntries(names.map((name) => [name, style.getPropertyValue(`--${name}`).trim()]))
  );
}
