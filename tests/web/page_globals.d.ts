// Set by page/theme.js, a classic script.
declare var toggleTheme: () => "dark" | "light";
