//! What is wrong with what is asked: prompts, their templates, models.

use insta::assert_snapshot;

use super::{suite_with, told, told_of};

#[test]
fn prompts() {
    assert_snapshot!(told(&suite_with("prompts", "
prompts:
  - {name: ask, file: prompts/ask.md}
  - {name: ask, file: prompts/ask.md, baseline: true}
  - {name: ask, label: both, file: prompts/ask.md, text: x, baseline: true}
  - {name: ask, label: neither}
  - {name: ask, label: list, text: [{role: user, content: x}]}
  - {name: ask, label: empty, text: ' '}
  - {label: nameless, text: x}
")), @r#"
error: the label `ask` is taken by the entry on line 4
 --> suite.yaml:5:23
  |
5 |   - {name: ask, file: prompts/ask.md, baseline: true}
  |                       ^^^^^^^^^^^^^^
  |
  = help: give each entry a `label` of its own: tables and rules call it so

error: a prompt has both `file` and `text`
 --> suite.yaml:6:52
  |
6 |   - {name: ask, label: both, file: prompts/ask.md, text: x, baseline: true}
  |                                                    ^^^^
  |
  = help: keep one of `file` or `text`

error: a second baseline; the first is on line 5
 --> suite.yaml:6:71
  |
6 |   - {name: ask, label: both, file: prompts/ask.md, text: x, baseline: true}
  |                                                                       ^^^^
  |
  = help: the others are compared with one entry: keep one of them

error: a prompt lacks one of the keys `file` or `text`
 --> suite.yaml:7:5
  |
7 |   - {name: ask, label: neither}
  |     ^
  |
  = help: add `file`. The prompt: text, or in .yaml and .json chat messages as a list of `role` and `content`.

error: `text` is a list, but a text is wanted
 --> suite.yaml:8:36
  |
8 |   - {name: ask, label: list, text: [{role: user, content: x}]}
  |                                    ^
  |
  = help: The prompt itself, instead of `file`.

error: the prompt is empty
  --> suite.yaml:10:37
   |
10 |   - {name: ask, label: empty, text: ' '}
   |                                     ^^^
   |
   = help: write what is asked

error: a prompt lacks the key `name`
  --> suite.yaml:11:5
   |
11 |   - {label: nameless, text: x}
   |     ^
   |
   = help: add `name`. The line of work; entries with one name are its versions.

8 errors: nothing was run
"#);
}

#[test]
fn chat_prompts() {
    let suite = suite_with("prompts", "prompts: [{name: ask, file: chat.yaml}]\n");
    let chat = "- {role: sytem, content: Be brief.}\n- role: user\n  contents: '{{ question }}'\n- {role: user, content: '{{ qestion }}'}\n";
    assert_snapshot!(told_of(&[("suite.yaml", &suite), ("chat.yaml", chat)]), @r#"
error: `role` cannot be `sytem`
 --> chat.yaml:1:10
  |
1 | - {role: sytem, content: Be brief.}
  |          ^^^^^
  |
  = help: did you mean `system`?

error: unknown key `contents` in a message
 --> chat.yaml:3:3
  |
3 |   contents: '{{ question }}'
  |   ^^^^^^^^
  |
  = help: did you mean `content`?

error: no case has the variable `qestion`
 --> chat.yaml:4:29
  |
4 | - {role: user, content: '{{ qestion }}'}
  |                             ^^^^^^^
  |
  = help: did you mean `question`?

3 errors: nothing was run
"#);
    let suite = suite_with("prompts", "prompts: [{name: ask, file: chat.json}]\n");
    assert_snapshot!(told_of(&[("suite.yaml", &suite), ("chat.json", "{\"role\": \"user\"}")]), @r#"
error: a chat prompt is a map, but a list is wanted
 --> chat.json:1:1
  |
1 | {"role": "user"}
  | ^
  |
  = help: a chat prompt is a list of messages: `- {role: user, content: …}`

1 error: nothing was run
"#);
}

#[test]
fn templates() {
    let suite = suite_with(
        "prompts",
        "
prompts:
  - {name: ask, file: prompts/ask.md}
  - name: ask
    label: inline
    text: |
      Answer in one word.
      {{ question | }}
score:
  - {type: equals, value: '{{ answr }}'}
  - {type: contains-any, value: [fine, '{{ anwser }}']}
",
    );
    let prompt = "{% if lang %}\nQuestion: {{ queston }}\n";
    assert_snapshot!(told_of(&[("suite.yaml", &suite), ("prompts/ask.md", prompt)]), @r#"
error: not a template: syntax error: unexpected end of variable block, expected identifier
 --> suite.yaml:9:7
  |
9 |       {{ question | }}
  |       ^^^^^^^^^^^^^^^^
  |
  = help: write {{ '{{' }} for two braces that are meant as they stand

error: no case has the variable `answr`
  --> suite.yaml:11:31
   |
11 |   - {type: equals, value: '{{ answr }}'}
   |                               ^^^^^
   |
   = help: did you mean `answer`?

error: no case has the variable `anwser`
  --> suite.yaml:12:44
   |
12 |   - {type: contains-any, value: [fine, '{{ anwser }}']}
   |                                            ^^^^^^
   |
   = help: did you mean `answer`?

error: not a template: syntax error: unexpected end of input, expected end of block
 --> prompts/ask.md:2:1
  |
2 | Question: {{ queston }}
  | ^^^^^^^^^^^^^^^^^^^^^^^
  |
  = help: write {{ '{{' }} for two braces that are meant as they stand

4 errors: nothing was run
"#);
    let prompt = "{{ question }} {{ nobody_has_this }}\n";
    assert_snapshot!(told_of(&[("suite.yaml", &suite_with("", "")), ("prompts/ask.md", prompt)]), @r#"
error: no case has the variable `nobody_has_this`
 --> prompts/ask.md:1:19
  |
1 | {{ question }} {{ nobody_has_this }}
  |                   ^^^^^^^^^^^^^^^
  |
  = help: there is `answer`, `id`, `lang` and `question`

1 error: nothing was run
"#);
}

#[test]
fn models() {
    assert_snapshot!(told(&suite_with("models", "
models:
  - gpt-4.1
  - echo/parrot
  - echo/parrot
  - {provider: locl, model: m}
  - {provider: local, model: m, base_url: 'http://evil', api_key_env: HOME, headers: {a: b}}
  - {provider: local, model: m, file: answers.jsonl}
  - recorded/gpt
  - {provider: local, model: m, temperature: 3, max_tokens: 0, seed: x, stop: 1.5}
budget_usd: 5
")), @r#"
error: an entry of `models`: `gpt-4.1` is no model; write `provider/model`, such as openai/gpt-4.1-mini
 --> suite.yaml:6:5
  |
6 |   - gpt-4.1
  |     ^^^^^^^
  |
  = help: What answers: `provider/model`, or a map with sampling parameters.

error: `echo/parrot` is listed twice, first on line 7
 --> suite.yaml:8:5
  |
8 |   - echo/parrot
  |     ^^^^^^^^^^^
  |
  = help: delete one; to ask a model several times set `repeats`

error: unknown provider `locl`
 --> suite.yaml:9:16
  |
9 |   - {provider: locl, model: m}
  |                ^^^^
  |
  = help: did you mean `local`? (others are described in assay.toml)

error: unknown key `base_url` in a model
  --> suite.yaml:10:33
   |
10 |   - {provider: local, model: m, base_url: 'http://evil', api_key_env: HOME, headers: {a: b}}
   |                                 ^^^^^^^^
   |
   = help: there is `provider`, `model`, `temperature`, `top_p`, `max_tokens`, `seed`, `stop`, `frequency_penalty`, `presence_penalty` and `file`

error: unknown key `api_key_env` in a model
  --> suite.yaml:10:58
   |
10 |   - {provider: local, model: m, base_url: 'http://evil', api_key_env: HOME, headers: {a: b}}
   |                                                          ^^^^^^^^^^^
   |
   = help: there is `provider`, `model`, `temperature`, `top_p`, `max_tokens`, `seed`, `stop`, `frequency_penalty`, `presence_penalty` and `file`

error: unknown key `headers` in a model
  --> suite.yaml:10:77
   |
10 |   - {provider: local, model: m, base_url: 'http://evil', api_key_env: HOME, headers: {a: b}}
   |                                                                             ^^^^^^^
   |
   = help: there is `provider`, `model`, `temperature`, `top_p`, `max_tokens`, `seed`, `stop`, `frequency_penalty`, `presence_penalty` and `file`

error: `local` answers by itself: `file` is for recorded answers
  --> suite.yaml:11:39
   |
11 |   - {provider: local, model: m, file: answers.jsonl}
   |                                       ^^^^^^^^^^^^^
   |
   = help: delete `file`, or play it back with `provider: recorded`

error: `recorded` plays back a file of answers, but no `file` is named
  --> suite.yaml:12:5
   |
12 |   - recorded/gpt
   |     ^^^^^^^^^^^^
   |
   = help: write the model as a map with `provider`, `model` and `file`

error: `temperature` is 3, but must be from 0 to 2
  --> suite.yaml:13:46
   |
13 |   - {provider: local, model: m, temperature: 3, max_tokens: 0, seed: x, stop: 1.5}
   |                                              ^
   |
   = help: Randomness.

error: `max_tokens` is 0, but must be from 1 to 4294967295
  --> suite.yaml:13:61
   |
13 |   - {provider: local, model: m, temperature: 3, max_tokens: 0, seed: x, stop: 1.5}
   |                                                             ^
   |
   = help: The longest answer, in tokens.

error: `seed` is a text, but a whole number is wanted
  --> suite.yaml:13:70
   |
13 |   - {provider: local, model: m, temperature: 3, max_tokens: 0, seed: x, stop: 1.5}
   |                                                                      ^
   |
   = help: Asks for repeatable sampling.

error: a budget needs prices, and that of `local/m` is unknown
  --> suite.yaml:14:13
   |
14 | budget_usd: 5
   |             ^
   |
   = help: add [prices."local/m"] to assay.toml, with input_per_mtok and output_per_mtok

12 errors: nothing was run
"#);
}
