#!/bin/sh
# Rehearses a bad release and its rollback on a store of its own: no server, no key, no network.
#
#   ./rehearse.sh            the whole walk, command by command
#   ./rehearse.sh simulate   somebody has shipped something: find it, take it up, take it back
#   ./rehearse.sh debrief    how long that took, and what the week's review says of it
#
# ASSAY names the binary, REHEARSAL the folder for the store and the page (default: .rehearsal, emptied by the first two).
set -eu

here=$(cd "$(dirname "$0")" && pwd)
assay=${ASSAY:-assay}
folder=${REHEARSAL:-.rehearsal}
store="sqlite:$folder/assay.db"
reason='half the tokens, for the demo'

command -v "$assay" >/dev/null || { echo "$assay is not there: set ASSAY to the binary" >&2; exit 2; }

# A word as a shell reads it back.
quoted() { printf "'%s'" "$(printf %s "$1" | sed "s/'/'\\\\''/g")"; }

# How this script is called again, for the same folder with the same binary.
again() {
    [ -z "${ASSAY:-}" ] || printf 'ASSAY=%s ' "$(quoted "$ASSAY")"
    [ -z "${REHEARSAL:-}" ] || printf 'REHEARSAL=%s ' "$(quoted "$REHEARSAL")"
    case $0 in
        */*) quoted "$0" ;;
        *) printf 'sh '; quoted "$0" ;;
    esac
    printf ' %s' "$1"
}

say() { printf '\n== %s\n' "$1"; }

# What a person would type, then what comes of it. The exit code has to be the first argument.
ask() {
    expected=$1
    shift
    printf '$ assay'
    for word in "$@"; do
        case $word in *' '*) printf ' "%s"' "$word" ;; *) printf ' %s' "$word" ;; esac
    done
    printf '\n'
    code=0
    "$assay" "$@" --store "$store" || code=$?
    [ "$code" -eq "$expected" ] || { echo "it ended with $code, not $expected" >&2; exit 1; }
}

fresh() {
    rm -rf "$folder"
    mkdir -p "$folder"
}

# Version 2 is live, as it should be.
prepare() {
    ask 0 run "$here/v1.yaml" --message "the first that works"
    ask 0 prompt promote routing@1 --channel production
    ask 0 run "$here/v2.yaml" --message "name the queues"
    ask 0 prompt promote routing@2 --channel production
}

# Version 3 is worse in German, fails its gate, and goes live all the same.
ship() {
    ask 1 run "$here/v3.yaml" --message "shorter"
    ask 1 prompt promote routing@3 --channel production
    (export ASSAY_ACTOR='somebody in a hurry'; ask 0 prompt promote routing@3 --channel production --override --reason "$reason")
}

debrief() {
    ask 0 incident show 1
    ask 0 prompt history routing
    ask 0 review --week --html "$folder/review.html"
    printf '\nThe page with the plots is %s/review.html.\n' "$folder"
}

case ${1:-walk} in
walk)
    fresh
    say 'Two versions, each better than what was live, each released on its verdict'
    prepare
    say 'The third is worse: its promotion is refused, and somebody ships it anyway'
    ship
    say 'That opened an incident. Somebody takes it up'
    ask 0 incident list
    ask 0 incident ack 1
    say 'What would a rollback take? On a scratch channel, production is not touched'
    ask 0 prompt rehearse routing --channel production
    say 'Roll back, check what is live, close the incident'
    ask 0 prompt rollback routing --channel production --reason "German messages go astray"
    ask 0 prompt verify "$here/prompts/v2.md" --channel production
    ask 0 incident resolve 1 --cause "shipped over a failing gate"
    say 'What was learnt: a risk with a deadline, a range, and the review that tells it all'
    ask 0 risk add "answers to German messages are 25 % of the cases" --owner support-team@example.com \
        --deadline 2099-12-31 --prompt routing
    ask 0 range set rollback_rate --max 0.5
    debrief
    ;;
simulate)
    fresh
    # What led there is for the debriefing.
    (prepare; ship) >"$folder/before.log" 2>&1 || { cat "$folder/before.log" >&2; exit 1; }
    cat <<TEXT
A customer writes: "I asked in German where my parcel is, and billing answered."
It is about the prompt \`routing\` on the channel \`production\`. You have ten minutes. Every command needs

    export ASSAY_STORE=$(quoted "$store")$([ "$assay" = assay ] || printf '\n    alias assay=%s' "$(quoted "$assay")")

Find out what is live since when, and who put it there; take the incident up; bring back what worked; check that it is live; close the
incident with its cause. Then: $(again debrief)
TEXT
    ;;
debrief)
    debrief
    ;;
*)
    echo "usage: $0 [simulate | debrief]" >&2
    exit 2
    ;;
esac
