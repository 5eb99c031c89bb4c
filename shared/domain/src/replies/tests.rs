use proptest::prelude::*;

use super::*;

#[test]
fn replies_are_understood() {
    let cases: [(Intent, &[&str]); 13] = [
        (
            Intent::Done,
            &[
                "DONE",
                "Did it!",
                "finished ✅",
                "✅",
                "💪💪",
                "I'm done",
                "Completed.",
                "hecho",
                "doneeee",
                "dnoe",
                "so tired but did it",
                "helped my mum move, so done",
                "can't stop smiling, great run",
                "no rest for the wicked, done",
                "was gonna skip but didn't",
                "ya lo hice",
            ],
        ),
        (
            Intent::Partial,
            &[
                "half",
                "Just a short one",
                "did half of it",
                "half done, will do the rest later",
                "skipped the run but did the stretches",
                "la mitad",
                "one of the two",
            ],
        ),
        (
            Intent::Skip,
            &[
                "SKIP",
                "not done",
                "I didn't do it",
                "Didn’t manage",
                "didnae manage it",
                "nope",
                "cancel today's workout",
                "cba today",
                "no pude",
            ],
        ),
        (Intent::Rest, &["rest day", "Resting", "REST", "not a skip, a rest day", "hoy descanso"]),
        (
            Intent::Help,
            &[
                "can't",
                "I’m struggling",
                "so tired",
                "help",
                "no energy at all",
                "🆘",
                "I want to skip",
                "no puedo más",
            ],
        ),
        (
            Intent::Reschedule,
            &[
                "later",
                "7.30",
                "at 6pm",
                "tomorrow 7am",
                "can we do 6 pm?",
                "can't, at 18:30?",
                "not yet",
                "will do it tonight",
                "done for today? no, not yet",
                "stop by the gym at 6",
                "l8r",
                "2moro",
                "mañana a las 7",
            ],
        ),
        (
            Intent::Pause,
            &["pause", "I need a break", "on holiday", "stop calling me until monday", "estoy de vacaciones"],
        ),
        (Intent::Resume, &["resume", "I'm back", "end the pause", "you can call me again"]),
        (Intent::Status, &["streak", "How am I doing?", "status", "mi racha"]),
        (Intent::Score(7), &["7", "7/10", "seven", "7 out of 10", "about a 7 today", "score of 7", "siete", "7️⃣"]),
        (
            Intent::Stop,
            &[
                "STOP",
                "stop.",
                "Unsubscribe",
                "STOPALL",
                "ALTO",
                "Parar",
                "baja",
                "sotp",
                "stop calling me",
                "leave me alone",
                "no me escribas más",
            ],
        ),
        (Intent::Start, &["START", "unstop", "start texting me again"]),
        (
            Intent::Other,
            &[
                "",
                "👀",
                "👍🏽",
                "hello there",
                "don't stop",
                "11",
                "0",
                "what happens if I skip?",
                "on my way",
                "about to start",
                "well done you",
                "can't wait",
            ],
        ),
    ];
    for (intent, texts) in cases {
        for text in texts {
            assert_eq!(understand(text), intent, "{text:?}");
        }
    }
}

#[test]
fn ten_out_of_ten_is_ten() {
    assert_eq!(understand("10"), Intent::Score(10));
    assert_eq!(understand("10/10"), Intent::Score(10));
    assert_eq!(understand("🔟"), Intent::Score(10));
}

#[test]
fn the_keyword_acts_and_free_words_are_asked_about() {
    for text in ["STOP", "stop please", "Stop.", "STOP STOP", "unsubscribe", "ALTO", "baja", "Cancel", "END"] {
        assert_eq!(stop_request(text), Some(StopRequest::Keyword), "{text:?}");
    }
    for text in ["Please STOP calling me!", "don't text me", "leave me alone", "remove my number", "deja de escribirme"]
    {
        assert_eq!(stop_request(text), Some(StopRequest::FreeText), "{text:?}");
    }
    for text in [
        "can't stop, done",
        "stop by the gym at 6",
        "I quit",
        "cancel today's workout",
        "stop calling me until monday",
        "the bus stop",
    ] {
        assert_eq!(stop_request(text), None, "{text:?}");
    }
}

#[test]
fn the_scope_of_stopping_is_understood() {
    let cases: [(Option<StopScope>, &[&str]); 4] = [
        (
            Some(StopScope::Calls),
            &[
                "calls",
                "Just the calls",
                "stop ringing",
                "calls please, texts are fine",
                "don't call me",
                "ok just the calls",
                "keep the texts, stop the calls",
                "llamadas",
            ],
        ),
        (
            Some(StopScope::Messages),
            &[
                "texts",
                "the messages",
                "not the calls, just the texts",
                "everything except the calls",
                "please don't text",
                "mensajes",
            ],
        ),
        (Some(StopScope::Everything), &["both", "everything", "all of it", "calls and texts", "todo", "stop"]),
        (
            None,
            &[
                "what do you mean",
                "",
                "later",
                "nothing, all good",
                "no, keep calling me",
                "did all of it 💪",
                "did the whole class",
                "all good thanks",
            ],
        ),
    ];
    for (scope, texts) in cases {
        for text in texts {
            assert_eq!(stop_scope(text), scope, "{text:?}");
        }
    }
}

#[test]
fn help_alone_asks_who_we_are() {
    assert!(is_help_keyword("HELP!") && is_help_keyword("info") && !is_help_keyword("help me"));
}

#[test]
fn buttons_are_known_by_their_ids() {
    assert_eq!(understand_button("done"), Some(Intent::Done));
    assert_eq!(understand_button("skip"), Some(Intent::Skip));
    assert_eq!(understand_button("snooze_15"), None);
}

#[test]
fn every_pattern_is_well_written_and_its_classes_exist() {
    for table in phrases::TABLES_OF_PATTERNS {
        for pattern in *table {
            let items: Vec<&str> = pattern.split(' ').collect();
            for (at, item) in items.iter().enumerate() {
                assert!(*item != "^" || at == 0, "{pattern:?} has its beginning elsewhere");
                assert!(*item != "$" || at + 1 == items.len(), "{pattern:?} has its end elsewhere");
                for choice in item.strip_suffix('?').unwrap_or(item).split('/') {
                    assert!(!choice.is_empty(), "{pattern:?} has a space or a stroke too many");
                    assert!(!choice.contains('?'), "{pattern:?} has a question mark too many");
                    let class = choice.strip_prefix('~').map(words::class);
                    assert!(class.is_none_or(|class| !class.is_empty()), "{pattern:?} names a class that is none");
                }
            }
        }
    }
}

#[test]
fn typing_errors_are_mended_and_words_are_left_alone() {
    for (typed, words) in [
        ("skippin", &["skipping"][..]),
        ("goin", &["going"]),
        ("again", &["again"]),
        ("train", &["train"]),
        ("tomorow", &["tomorrow"]),
        ("doneeee", &["done"]),
        ("session", &["session"]),
        ("xyzzy", &["xyzzy"]),
    ] {
        assert_eq!(plain_words(typed), words, "{typed}");
    }
}

#[test]
fn what_any_table_holds_is_a_word_and_what_stands_for_words_is_none() {
    // In an optional item, a class, a whole message, a list.
    for word in ["even", "pilates", "finished", "tomorrow", "please"] {
        assert!(words::is_known(word), "{word}");
    }
    for none in ["~quit", "quitt", "", "even?", "a/b"] {
        assert!(!words::is_known(none), "{none:?}");
    }
}

/// Words out of which replies are made, so that the rules are reached and not only the first check.
fn reply() -> impl Strategy<Value = String> {
    let words = prop::sample::select(vec![
        "done", "did", "not", "stop", "me", "calling", "half", "tomorrow", "at", "6pm", "7", "I", "can't", "skip",
        "rest", "day", "later", "mañana", "until", "monday", "help", "streak", "no", "yes", "but", "hecho", "didn't",
        "pause", "gym", "✅",
    ]);
    prop::collection::vec(words, 1..8).prop_map(|words| words.join(" "))
}

proptest! {
    #[test]
    fn any_text_is_understood_as_something(text in any::<String>()) {
        let _ = (understand(&text), stop_request(&text), stop_scope(&text), is_help_keyword(&text));
    }

    #[test]
    fn case_accents_and_what_stands_around_do_not_matter(
        text in reply(),
        before in "[ .!,\"*_~(-]{0,3}",
        after in "[ .!,\"*_~)-]{0,3}",
    ) {
        let intent = understand(&text);
        prop_assert_eq!(understand(&text.to_uppercase()), intent);
        prop_assert_eq!(understand(&text.replace('ñ', "n")), intent);
        prop_assert_eq!(understand(&text.replace('n', "n\u{303}")), intent);
        prop_assert_eq!(understand(&format!("{before}{text}{after}")), intent);
        prop_assert_eq!(understand(&text.replace(' ', "   ")), intent);
    }
}

#[test]
fn why_somebody_pauses_is_said_in_whole_words() {
    for (text, reason) in [
        ("I'm ill, pause please", PauseReason::Sick),
        ("sick until monday", PauseReason::Sick),
        ("pausa, estoy enferma", PauseReason::Sick),
        ("I'll be travelling next week, pause", PauseReason::Traveling),
        ("on holiday till friday", PauseReason::Traveling),
        ("pause till monday", PauseReason::Paused),
        ("pause, I will still be here", PauseReason::Paused),
        ("pause, too many bills", PauseReason::Paused),
        ("pause, a new influence", PauseReason::Paused),
    ] {
        assert_eq!(pause_reason(text), reason, "{text}");
    }
}

#[test]
fn what_is_joined_does_not_hold_what_was_parted() {
    for (apart, joined) in words::JOINED {
        assert!(!format!(" {joined} ").contains(&format!(" {apart} ")), "{apart} would be joined for ever");
    }
}

#[test]
fn no_pattern_holds_an_apostrophe() {
    let parted = |pattern: &&&str| pattern.contains('\'');
    let never: Vec<_> = phrases::TABLES_OF_PATTERNS.iter().copied().flatten().filter(parted).collect();
    assert!(never.is_empty(), "no apostrophe is left where patterns look: {never:?}");
}

#[test]
fn grave_words_in_plain_talk_are_not_misread() {
    for (text, intent) in [
        ("my knee is driving me mad", Intent::Other),
        ("need to cancel my gym membership", Intent::Skip),
        ("can I have my streak back", Intent::Other),
        ("can I have a call back at 6", Intent::Reschedule),
        ("I'm on holiday, like I told you", Intent::Pause),
        ("sick of all of it", Intent::Other),
        ("doms in the legs", Intent::Other),
        ("been struggling for 2 weeks", Intent::Help),
        ("leaving this until later", Intent::Reschedule),
        ("Maybe 7, after work", Intent::Reschedule),
        ("please get these messages off my phone", Intent::Stop),
    ] {
        let found = understand(text);
        let grave = matches!(found, Intent::Stop | Intent::Start | Intent::Done);
        assert!(found == intent || (intent == Intent::Other && !grave), "{text}: {found:?}");
    }
}

#[test]
fn a_score_among_words_has_its_own_number() {
    for (text, score) in [
        ("energy is like a 4, could be worse", Some(4)),
        ("9 out of 10 feeling elite", Some(9)),
        ("6.. no make it 7", Some(7)),
        ("slept 5 hours so energy is a 3", None),
        ("no number here", None),
    ] {
        assert_eq!(named_score(text), score, "{text}");
    }
}

#[test]
fn who_is_not_back_stays_paused_and_who_stops_is_heard() {
    for (text, not) in [
        ("not ready to start again", Intent::Resume),
        ("dont resume yet", Intent::Resume),
        ("back in hospital", Intent::Resume),
        ("did you do it", Intent::Done),
        ("nearly done", Intent::Done),
        ("not finished yet but nearly done", Intent::Done),
        ("done with ivy", Intent::Done),
        ("he finished his run", Intent::Done),
    ] {
        assert_ne!(understand(text), not, "{text}");
    }
    assert_eq!(understand("stop nagging me, I'll do it later"), Intent::Stop);
}
