/**
 * Characters that a person does not see, but a model does: tags, variation selectors, zero-width spaces and joiners, marks and overrides of direction,
 * fillers, soft hyphens. Texts are smuggled in them. They are removed from the prompt's copy only, because scripts and emoji need some of them.
 */
const invisible = new RegExp(
  '[' +
    '\\u00AD\\u034F\\u061C\\u115F\\u1160\\u17B4\\u17B5\\u180B-\\u180F\\u200B-\\u200F\\u202A-\\u202E\\u2060-\\u206F\\u3164\\uFE00-\\uFE0F\\uFEFF\\uFFA0' +
    '\\u{1BCA0}-\\u{1BCA3}\\u{1D173}-\\u{1D17A}\\u{E0000}-\\u{E0FFF}' +
    ']',
  'gu',
);

/** No other character is invisible, or has another form in NFC. */
const mayChange = /\u00AD|[\u0300-\uFFFF]/;

/** The beginning of something like our marks, in whatever brackets. */
const markLike = /([<\uFE64\uFF1C\u2039\u3008\u27E8])(?=(?:[/\uFF0F]\s{0,20})?data-[0-9a-f])/gi;

/**
 * Words by which servers of models tell turns apart. Some of them read these in the text of a user, too: `<|im_start|>`, `[INST]`, `<<SYS>>`,
 * `<start_of_turn>`, `<bos>`, `</s>`.
 */
const turnLike =
  /<(?=\||<SYS>>|<\/SYS>>|\/?(?:s|bos|eos|start_of_turn|end_of_turn)>)|\[(?=\/?(?:INST|SYSTEM_PROMPT|AVAILABLE_TOOLS|TOOL_CALLS)\])/gi;

const bracket = /[<[\uFE64\uFF1C\u2039\u3008\u27E8]/;

/**
 * The text as a model gets to see it: without invisible characters, in NFC, and with a space in everything that looks like a mark around data or between
 * turns. It is the same for a text that has been changed already.
 */
export function promptCopy(text: string): string {
  const visible = visibleText(text);
  return bracket.test(visible) ? visible.replace(markLike, '$1 ').replace(turnLike, '$& ') : visible;
}

/** The text without invisible characters, in NFC. */
export function visibleText(text: string): string {
  return mayChange.test(text) ? text.replace(invisible, '').normalize('NFC') : text;
}
