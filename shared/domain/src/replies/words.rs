//! Words, as data: their spellings, the classes that patterns name, and the lists that stand around them. Phrases are in
//! [`super::phrases`]. All are compared with words as [`super::normalise`] leaves them: lower case, no accents, contractions
//! written out ("didn't" is "did not"). `static`, since a `const` would be laid out anew for each use of it.

use std::{collections::HashSet, sync::LazyLock};

use super::phrases;

/// Emoji that say something. Those that only colour a message (👍, 🙏, ❤, 😂) are not here.
pub(super) static EMOJI: &[(char, &str)] = &[
    ('✅', "emojitick"), ('✔', "emojitick"), ('☑', "emojitick"), ('💪', "emojidone"), ('🏆', "emojidone"),
    ('🥇', "emojidone"), ('🏅', "emojidone"), ('🎯', "emojitick"), ('🎉', "emojidone"), ('🙌', "emojidone"),
    ('💯', "emojitick"), ('🏁', "emojitick"), ('❌', "emojino"), ('✖', "emojino"), ('👎', "emojino"), ('🙅', "emojino"),
    ('🚫', "emojino"), ('😩', "emojihelp"), ('😫', "emojihelp"), ('🆘', "emojihelp"), ('😴', "emojihelp"),
    ('🥱', "emojihelp"), ('🛌', "emojirest"), ('🛋', "emojirest"), ('🏃', "emojisport"), ('🏋', "emojisport"),
    ('🚴', "emojisport"), ('🏊', "emojisport"), ('🧘', "emojisport"), ('🚶', "emojisport"), ('📚', "emojisport"),
    ('✓', "emojitick"), ('✗', "emojino"), ('✘', "emojino"), ('😭', "emojihelp"), ('🤏', "emojipart"), ('½', "half"), ('¼', "1/4"), ('¾', "3/4"), ('⅓', "1/3"), ('⅔', "2/3"), ('🔟', "10"), ('🔥', "emojifire"), ('🛑', "stop"), ('⏸', "pause"),
    ('▶', "resume"),
];

/// Short forms, contractions without their apostrophe, and misspellings that no rule reaches.
pub(super) static SPELLINGS: &[(&str, &str)] = &[
    ("i'll", "i will"), ("it's", "it is"), ("that's", "that is"), ("let's", "let us"), ("what's", "what is"),
    ("who's", "who is"), ("how's", "how is"), ("where's", "where is"), ("when's", "when is"), ("there's", "there is"),
    ("here's", "here is"), ("how'm", "how am"), ("she's", "she is"), ("he's", "he is"), ("its", "it is"),
    ("thats", "that is"), ("lets", "let us"), ("whats", "what is"), ("hows", "how is"), ("theres", "there is"),
    ("whens", "when is"), ("whos", "who is"), ("wheres", "where is"), ("im", "i am"), ("ive", "i have"),
    ("id", "i would"), ("youre", "you are"), ("youve", "you have"), ("ill've", "i will have"), ("weve", "we have"),
    ("theyre", "they are"), ("itll", "it will"), ("ull", "you will"), ("youll", "you will"), ("cannot", "can not"),
    ("cant", "can not"), ("carnt", "can not"), ("cnt", "can not"), ("cannae", "can not"), ("canny", "can not"),
    ("dont", "do not"), ("dnt", "do not"), ("dinnae", "do not"), ("dinny", "do not"), ("dunno", "do not know"),
    ("didnt", "did not"), ("didn", "did not"), ("dint", "did not"), ("didnae", "did not"), ("didny", "did not"),
    ("didint", "did not"), ("din't", "did not"), ("ditn", "did not"), ("didt", "did not"), ("doesnt", "does not"),
    ("wont", "will not"), ("willnae", "will not"), ("shant", "will not"), ("wasnt", "was not"), ("wasnae", "was not"),
    ("werent", "were not"), ("isnt", "is not"), ("isnae", "is not"), ("arent", "are not"), ("aint", "not"),
    ("amnt", "not"), ("havent", "have not"), ("havnt", "have not"), ("havnae", "have not"), ("haventt", "have not"),
    ("hasnt", "has not"), ("hadnt", "had not"), ("couldnt", "could not"), ("cudnt", "could not"),
    ("couldnae", "could not"), ("wouldnt", "would not"), ("shouldnt", "should not"), ("shoulda", "should have"),
    ("coulda", "could have"), ("woulda", "would have"), ("gonna", "going to"), ("gunna", "going to"),
    ("gona", "going to"), ("gna", "going to"), ("gonnae", "going to"), ("imma", "i will"), ("finna", "going to"),
    ("tryna", "trying to"), ("wanna", "want to"), ("wana", "want to"), ("gotta", "have to"), ("gimme", "give me"),
    ("gies", "give me"), ("gis", "give me"), ("lemme", "let me"), ("hafta", "have to"), ("kinda", "kind of"),
    ("sorta", "sort of"), ("outta", "out of"), ("cba", "can not be bothered"), ("idk", "do not know"),
    ("ngl", "not going to lie"), ("tbh", "tbh"), ("rn", "right now"), ("atm", "right now"), ("brb", "back in a bit"),
    ("omw", "on my way"), ("asap", "asap"), ("nvm", "never mind"), ("cos", "because"), ("coz", "because"),
    ("cuz", "because"), ("cus", "because"), ("bc", "because"), ("bcoz", "because"), ("becos", "because"),
    ("cause", "because"), ("bcz", "because"), ("u", "you"), ("ur", "your"), ("r", "are"), ("yous", "you"),
    ("ya'll", "you"), ("n", "and"), ("nd", "and"), ("d", "the"), ("teh", "the"), ("tha", "the"), ("hv", "have"),
    ("hav", "have"), ("wil", "will"), ("vl", "will"), ("wrk", "work"), ("wid", "with"), ("bin", "been"),
    ("ter", "to"), ("pls", "please"), ("plz", "please"), ("plse", "please"), ("plss", "please"), ("pleas", "please"),
    ("pleease", "please"), ("kindly", "please"), ("thx", "thanks"), ("thnx", "thanks"), ("ty", "thanks"),
    ("tnx", "thanks"), ("tks", "thanks"), ("thanx", "thanks"), ("tysm", "thanks"), ("thankyou", "thanks"),
    ("yh", "yes"), ("yeh", "yes"), ("yea", "yes"), ("yeah", "yes"), ("yep", "yes"), ("yup", "yes"), ("yupp", "yes"),
    ("yas", "yes"), ("yass", "yes"), ("yess", "yes"), ("aye", "yes"), ("ye", "yes"), ("yis", "yes"),
    ("yessir", "yes"), ("yip", "yes"), ("ya", "ya"), ("yus", "yes"), ("yeppers", "yes"), ("haan", "yes"),
    ("ofc", "of course"), ("nope", "no"), ("nah", "no"), ("naw", "no"), ("nop", "no"), ("nay", "no"), ("noo", "no"),
    ("nae", "no"), ("na", "no"), ("nahi", "no"), ("nahin", "no"), ("nopes", "no"), ("negative", "no"), ("nein", "no"),
    ("nuh", "no"), ("nu", "no"), ("tmrw", "tomorrow"), ("tmr", "tomorrow"), ("tmw", "tomorrow"),
    ("tmrow", "tomorrow"), ("tomoz", "tomorrow"), ("tomos", "tomorrow"), ("tomo", "tomorrow"), ("2moro", "tomorrow"),
    ("2morrow", "tomorrow"), ("2mrw", "tomorrow"), ("2mo", "tomorrow"), ("2mora", "tomorrow"),
    ("tommorow", "tomorrow"), ("tommorrow", "tomorrow"), ("tomoro", "tomorrow"), ("tmoz", "tomorrow"),
    ("2morow", "tomorrow"), ("2mro", "tomorrow"), ("morn", "morning"), ("2day", "today"), ("2dy", "today"),
    ("tday", "today"), ("2nite", "tonight"), ("2night", "tonight"), ("tonite", "tonight"), ("2nyt", "tonight"),
    ("tonyt", "tonight"), ("2nt", "tonight"), ("l8r", "later"), ("l8er", "later"), ("l8", "late"), ("latr", "later"),
    ("ltr", "later"), ("lata", "later"), ("b4", "before"), ("gr8", "great"), ("m8", "mate"), ("4got", "forgot"),
    ("2", "2"), ("1/2", "half"), ("4eva", "forever"), ("eve", "evening"), ("arvo", "afternoon"), ("aft", "afternoon"),
    ("avo", "afternoon"), ("min", "minute"), ("mins", "minute"), ("minutes", "minute"), ("minuto", "minute"),
    ("minutos", "minute"), ("sec", "second"), ("secs", "second"), ("seconds", "second"), ("hr", "hour"),
    ("hrs", "hour"), ("hours", "hour"), ("wk", "week"), ("wks", "weeks"), ("wkend", "weekend"), ("wknd", "weekend"),
    ("mon", "monday"), ("mondays", "monday"), ("tue", "tuesday"), ("tues", "tuesday"), ("weds", "wednesday"),
    ("wed", "wednesday"), ("thur", "thursday"), ("thu", "thursday"), ("thurs", "thursday"), ("fri", "friday"),
    ("thurday", "thursday"), ("wkout", "workout"), ("wrkout", "workout"), ("workouts", "workout"), ("w/o", "without"),
    ("goodun", "goodun"), ("exercize", "exercise"), ("excercise", "exercise"), ("exersise", "exercise"),
    ("msg", "message"), ("msgs", "messages"), ("txt", "text"), ("txts", "texts"), ("txting", "texting"),
    ("msging", "messaging"), ("whatsap", "whatsapp"), ("whatsapps", "messages"), ("sms", "texts"), ("num", "number"),
    ("unsub", "unsubscribe"), ("unsubscribed", "unsubscribe"), ("unsuscribe", "unsubscribe"),
    ("unsubscripe", "unsubscribe"), ("stopall", "stop all"), ("optout", "opt out"), ("optin", "opt in"),
    ("arret", "stop"), ("resched", "reschedule"), ("reskedule", "reschedule"), ("restday", "rest day"),
    ("dayoff", "day off"), ("ok", "ok"), ("okay", "ok"), ("okey", "ok"), ("okie", "ok"), ("kk", "ok"), ("oki", "ok"),
    ("abt", "about"), ("bout", "about"), ("gud", "good"), ("nite", "night"), ("bday", "birthday"), ("sry", "sorry"),
    ("soz", "sorry"), ("srry", "sorry"), ("prob", "probably"), ("probs", "probably"), ("defo", "definitely"),
    ("prolly", "probably"), ("ppl", "people"), ("dun", "done"), ("dunn", "done"), ("dn", "done"), ("don3", "done"),
    ("d0ne", "done"), ("doned", "done"), ("finito", "finished"), ("finit", "finished"), ("knackerd", "knackered"),
    ("nackered", "knackered"), ("knakered", "knackered"), ("exausted", "exhausted"), ("tierd", "tired"),
    ("tird", "tired"), ("q", "que"), ("xq", "porque"), ("pq", "porque"), ("porfa", "please"), ("porfis", "please"),
    ("gim", "gym"), ("gimnasio", "gym"), ("pa", "para"), ("tmb", "tambien"), ("toy", "estoy"),
    ("skp", "skip"), ("scip", "skip"), ("skup", "skip"), ("sikp", "skip"), ("skpi", "skip"), ("dne", "done"),
    ("dnoe", "done"), ("doen", "done"), ("donw", "done"), ("donr", "done"), ("halp", "help"), ("hlep", "help"),
    ("hlp", "help"), ("hepl", "help"), ("yhe", "the"), ("hte", "the"), ("stp", "stop"), ("sotp", "stop"),
    ("stpo", "stop"), ("stopp", "stop"), ("tn", "tonight"), ("2nyte", "tonight"), ("tmrrw", "tomorrow"),
    ("tomorro", "tomorrow"), ("w", "with"), ("rly", "really"), ("wrkd", "worked"), ("finishd", "finished"),
    ("finshed", "finished"), ("fnished", "finished"), ("compleated", "completed"), ("strugling", "struggling"),
    ("struggeling", "struggling"), ("shatered", "shattered"),

    ("donezo", "done"), ("thru", "through"), ("mornin", "morning"),
    ("didit", "did it"), ("haf", "half"), ("hlaf", "half"), ("1/2way", "halfway"),
    ("stahp", "stop"), ("staph", "stop"), ("burntout", "burnt out"), ("burnedout", "burned out"),
];

/// Words written apart that are one, after [`SPELLINGS`].
pub(super) static JOINED: &[(&str, &str)] = &[
    ("work out", "workout"), ("working out", "exercising"), ("re schedule", "reschedule"),
    ("re subscribe", "resubscribe"), ("un pause", "unpause"), ("un subscribe", "unsubscribe"),
    ("half way", "halfway"), ("half an hour", "30 minute"), ("half hour", "30 minute"),
    ("hour and a half", "90 minute"), ("half a hour", "30 minute"), ("half marathon", "marathon"),
    ("warm up", "warmup"), ("cool down", "cooldown"), ("good un", "goodun"), ("to morrow", "tomorrow"),
    ("to night", "tonight"), ("to day", "today"), ("any more", "anymore"), ("over slept", "overslept"), ("p m", "pm"),
    ("o clock", "oclock"), ("going too", "going to"), ("thank you", "thanks"), ("saturdays", "saturday"),
    ("push ups", "pushups"), ("sit ups", "situps"), ("pull ups", "pullups"),
    ("100 percent", "fully"),
];

/// Words toward which typing errors are mended.
pub(super) static KEYWORDS: &[&str] = &[
    "done", "stop", "skip", "help", "start", "rest", "pause", "later", "half", "tired", "today", "skipped",
    "skipping", "finished", "finish", "completed", "complete", "tomorrow", "tonight", "reschedule", "postpone",
    "unsubscribe", "subscribe", "resubscribe", "cancel", "resume", "partial", "partially", "streak", "status",
    "progress", "workout", "exhausted", "struggling", "recovery", "missed", "forgot", "knackered", "overwhelmed",
    "motivation", "unmotivated", "smashed", "nailed", "crushed", "holiday", "vacation", "monday", "tuesday",
    "wednesday", "thursday", "friday", "saturday", "sunday", "morning", "evening", "afternoon", "overslept",
    "message", "messages", "messaging", "calling", "texting", "managed", "session", "training", "exercise", "resting",
    "already", "unpause", "continue", "remind", "thanks", "please", "couldnt", "summary", "actually", "donated",
    "terminado", "manana", "descanso", "ayuda", "pausa", "hecho", "racha", "cancelar", "yesterday", "anymore",
    "because", "stopped", "halfway", "energy", "number",
];

/// Words that are near a keyword and mean something else.
pub(super) static NOT_TYPOS: &[&str] = &[
    "step", "stops", "shop", "stow", "slop", "ship", "slip", "skin", "skips", "dome", "dine", "dons", "gone", "bone",
    "none", "tone", "zone", "one", "held", "helps", "hello", "heap", "helped", "smart", "stare", "stark", "starts",
    "tart", "past", "test", "best", "nest", "west", "reset", "rests", "pauses", "paused", "cause", "layer", "late",
    "water", "cater", "latte", "lather", "hall", "hale", "halves", "tried", "fired", "hired", "wired", "tires",
    "tied", "strait", "finishes", "completes", "completely", "cancels", "canceled", "cancelled", "resumed", "resumes",
    "streaks", "streaky", "messages", "message", "messaged", "missing", "messed", "kissed", "dissed", "misses",
    "mailed", "nails", "brushed", "rushed", "crashed", "washed", "mashed", "slashed", "trashed", "splashed",
    "moaning", "mourning", "warning", "burning", "evenings", "mornings", "falling", "filling", "selling", "telling",
    "boiling", "cooling", "culling", "testing", "dating", "damaged", "manager", "manages", "mention", "passion",
    "sessions", "raining", "straining", "draining", "gaining", "wresting", "jesting", "nesting", "vesting", "skipper",
    "slipped", "shipped", "snipped", "slipping", "shipping", "clipped", "flipped", "tipped", "whipped", "workouts",
    "remained", "reminds", "rewind", "thanks", "pleased", "pleases", "release", "everyone", "ready", "donates",
    "donate", "stats", "statue", "holidays", "locations", "location", "vocation", "emotion", "forget", "forgets",
    "forgo", "energies", "summer", "hech", "lump", "numbers", "chopped", "dropped", "shopped", "topped", "stepped",
    "popped", "hopped", "stomped", "halfways", "sumner", "partials", "impartial", "tire", "startle", "started",
    "hasta", "rested", "resist", "crest", "reste", "resto", "arrest", "wrest", "dona", "hell", "helm", "hemp", "kelp",
    "yelp", "calf", "behalf", "pasa", "pausar", "donde", "manana", "mananas", "hecha", "hechos", "ayudar", "ayudas",
    "pausas", "descansa", "descansar", "descansos", "cancela", "cancelas", "terminada", "terminados", "tocay",
    "toddy", "toady", "tody", "continued", "continues", "training", "trading", "trailing", "calving", "exercised",
    "exercises",
];

/// Verbs that follow "I will"; "ill" before one of them is that.
pub(super) static AFTER_WILL: &[&str] = &[
    "be", "do", "go", "get", "have", "try", "skip", "make", "take", "give", "finish", "start", "run", "pass", "call",
    "text", "let", "see", "come", "catch", "aim", "hit", "head", "rest", "move", "train", "just", "probably",
    "definitely", "def", "still", "not", "never", "stop", "sort", "pop", "swim", "walk", "read", "study",
    "reschedule", "message", "tell", "need", "squeeze", "fit",
];

/// Words that begin another statement.
pub(super) static TURNS: &[&str] = &[
    "but", "however", "though", "although", "tho", "pero", "aunque", "sino", "hence", "therefore",
    "whereas",
];

/// Words that begin a reason.
pub(super) static BECAUSE: &[&str] = &[
    "because", "porque",
];

/// "and" parts statements only before these.
pub(super) static AFTER_AND: &[&str] = &[
    "i", "then", "did", "went", "ran", "skipped", "finished", "am", "will", "have", "had", "now", "not", "going",
    "done", "fell", "missed", "forgot", "completed", "got", "is", "it", "could", "can", "just", "actually", "still",
];

/// "so" parts statements only before these: "so tired" is none.
pub(super) static AFTER_SO: &[&str] = &[
    "i", "no", "did", "done", "skip", "skipping", "skipped", "not", "we", "taking", "going", "it", "that", "could",
    "have", "will", "resting", "today", "can", "just", "went", "only", "missed", "yes", "half", "maybe", "please",
    "call", "stop", "rest", "tomorrow", "later",
    "need", "moving", "pushing", "leaving", "gonna", "nothing",
];

pub(super) static NUMBERS: &[&str] = &[
    "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve", "fifteen",
    "twenty", "thirty", "forty", "fifty", "ninety", "hundred", "thousand", "uno", "dos", "tres", "cuatro", "cinco",
    "seis", "siete", "ocho", "nueve", "diez", "doce", "quince", "veinte", "treinta", "couple",
];

/// The values of [`NUMBERS`] that can be a score.
pub(super) static SCORES: &[(&str, u8)] = &[
    ("one", 1), ("two", 2), ("three", 3), ("four", 4), ("five", 5), ("six", 6), ("seven", 7), ("eight", 8),
    ("nine", 9), ("ten", 10), ("uno", 1), ("dos", 2), ("tres", 3), ("cuatro", 4), ("cinco", 5), ("seis", 6),
    ("siete", 7), ("ocho", 8), ("nueve", 9), ("diez", 10),
];

/// Classes of words that patterns name with a tilde.
pub(super) static CLASSES: &[(&str, &[&str])] = &[
    // What Ivy's users set out to do: sport first, and reading, study, meditation, sleep.
    ("act", &[
        "workout", "run", "runs", "gym", "session", "sesh", "training", "exercise", "exercises", "walk", "walking",
        "swim", "swimming", "ride", "cycle", "cycling", "bike", "yoga", "pilates", "class", "spin", "cardio",
        "weights", "lift", "lifting", "stretch", "stretches", "stretching", "legs", "leg", "arms", "chest", "core",
        "abs", "glutes", "shoulders", "squat", "squats", "hiit", "crossfit", "jog", "jogging", "hike", "row",
        "rowing", "climb", "climbing", "tennis", "football", "footy", "squash", "badminton", "cricket", "hockey",
        "golf", "basketball", "netball", "rugby", "volleyball", "padel", "boxing", "karate", "judo", "dance",
        "dancing", "zumba", "peloton", "treadmill", "elliptical", "circuit", "circuits", "bootcamp", "parkrun",
        "marathon", "steps", "pushups", "situps", "pullups", "plank", "planks", "burpees", "lunges", "reps", "sets",
        "set", "laps", "lengths", "k", "km", "kms", "mile", "miles", "metres", "meters", "meditation", "meditating",
        "meditate", "reading", "chapter", "chapters", "pages", "page", "study", "studying", "revision", "writing",
        "words", "journal", "journalling", "journaling", "homework", "practice", "piano", "guitar", "pomodoro",
        "pomodoros", "routine", "tasks", "task", "habit", "mobility", "physio", "rehab", "deadlift", "deadlifts",
        "bench", "kettlebells", "kettlebell", "skate", "pool", "track", "surf", "paddle", "intervals", "tempo",
        "aerobics", "pt", "rounds", "breathing", "pranayam", "suryanamaskar", "namaskar", "running", "hyrox", "block",
        "sprint", "sprints", "upper", "lower", "pull", "push", "drill", "drills", "kata", "bjj", "dog", "wod",
        "barre", "hill", "hills", "warmup", "cooldown", "regime", "plan", "bodyweight", "entreno", "entrenamiento",
        "carrera", "caminata", "clase", "ejercicio", "ejercicios", "rutina", "sesion", "natacion", "bici", "pesas",
        "paginas", "libro", "meditacion", "estudio", "pierna", "piernas", "kilometros", "estiramientos", "flexiones",
        "sentadillas", "abdominales", "vueltas", "series", "tarea", "lectura", "spinning", "senderismo", "futbol",
        "emojisport",
    ]),
    // Activities that are also common words are too weak to carry a report by themselves.
    ("feat", &[
        "workout", "run", "gym", "session", "training", "exercise", "walk", "swim", "ride", "cycle", "bike", "yoga",
        "pilates", "spin", "cardio", "weights", "stretching", "squats", "hiit", "crossfit", "jog", "hike", "row",
        "rowing", "tennis", "football", "squash", "badminton", "boxing", "zumba", "peloton", "treadmill",
        "elliptical", "circuit", "circuits", "parkrun", "pushups", "situps", "pullups", "plank", "planks", "burpees",
        "lunges", "laps", "lengths", "k", "km", "kms", "mile", "miles", "steps", "meditation", "pages", "reading",
        "words", "pomodoros", "reps", "rounds", "stretches", "mobility", "climbing", "kettlebells", "kettlebell",
        "swimming", "running", "walking", "jogging", "cycling", "lifting", "bench", "barre", "aerobics", "surf",
        "sentadillas", "flexiones", "abdominales", "paginas", "entreno", "kilometros", "bici", "caminata",
        "emojisport", "class",
    ]),
    // The past of doing one of them.
    ("past", &[
        "ran", "jogged", "swam", "walked", "cycled", "biked", "rode", "rowed", "lifted", "trained", "exercised",
        "hiked", "climbed", "stretched", "meditated", "studied", "journalled", "journaled", "practised", "practiced",
        "revised", "boxed", "danced", "planked", "squatted", "benched", "deadlifted", "sprinted", "skated", "surfed",
        "skied", "wrote", "sweated", "spun", "paddled", "bouldered", "golfed", "worked-out", "burned", "powered",
        "rocked", "aced", "conquered", "bossed", "nailed", "smashed", "crushed", "slayed", "accomplished", "achieved",
        "corri", "camine", "nade", "entrene", "termine", "acabe", "medite", "lei", "escribi", "estudie", "logre",
        "cumpli", "pedalee", "baile", "jugue", "hicimos", "terminamos", "entrenamos", "corrimos",
        "submitted", "cleaned", "tidied", "hoovered", "vacuumed", "mopped", "ironed", "decluttered", "uploaded", "mowed", "weeded", "scrubbed", "rehearsed", "memorised", "memorized", "proofread", "demolished", "annihilated", "obliterated", "destroyed", "wrestled", "tackled", "knocked-out", "repasse", "nadamos",
        "deleted", "swept", "folded",
    ]),
    ("unit", &[
        "minute", "hour", "k", "km", "kms", "mile", "miles", "metres", "meters", "m", "reps", "sets", "laps",
        "lengths", "rounds", "pages", "words", "steps", "calories", "kcal", "cals", "kilometros", "hora", "horas",
        "paginas", "second",
    ]),
    ("day", &[
        "monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday", "weekend", "lunes", "martes",
        "miercoles", "jueves", "viernes", "sabado", "domingo",
    ]),
    ("part", &[
        "morning", "afternoon", "evening", "night", "lunch", "lunchtime", "noon", "midday", "midnight", "teatime",
        "dinnertime", "bedtime",
    ]),
    ("event", &[
        "work", "lunch", "dinner", "tea", "supper", "breakfast", "school", "class", "meeting", "meetings", "shift",
        "nap", "dark", "sunset", "bedtime", "office", "college", "uni", "church", "prayers", "namaz", "trabajo",
        "cena", "comida", "comer", "cenar", "almuerzo", "almorzar", "clase", "trabajar", "siesta", "oficina",
    ]),
    ("msg", &[
        "message", "messages", "text", "texts", "call", "calls", "notifications", "notification", "reminders",
        "reminder", "emails", "email", "mails", "stuff", "spam", "updates", "mensaje", "mensajes", "llamadas",
        "llamada", "notificaciones", "recordatorios", "alerts", "voicemails",
    ]),
    ("ing", &[
        "calling", "texting", "messaging", "contacting", "sending", "ringing", "phoning", "whatsapping", "bothering",
        "harassing", "spamming", "pestering", "bugging", "annoying", "nagging", "emailing", "disturbing", "hassling",
        "pinging", "notifying", "writing", "hounding", "reminding", "buzzing",
    ]),
    ("reach", &[
        "call", "text", "message", "contact", "ring", "phone", "whatsapp", "bother", "write", "email", "disturb",
        "ping", "hassle", "spam", "send", "annoy", "pester", "harass", "bug", "remind", "notify",
    ]),
    ("me", &[
        "me", "us", "this", "my", "these",
    ]),
    ("span", &[
        "days", "day", "weeks", "week", "month", "months", "weekend", "fortnight", "while", "bit", "dias", "dia",
        "semana", "semanas", "mes", "meses",
    ]),
    ("good", &[
        "great", "good", "lovely", "brilliant", "amazing", "awesome", "fantastic", "tough", "hard", "solid", "decent",
        "cracking", "nice", "fab", "wicked", "killer", "brutal", "sweaty", "grand", "fun", "excellent", "superb",
        "banging", "epic", "best", "quality", "beautiful",
    ]),
    ("tired", &[
        "tired", "exhausted", "knackered", "shattered", "wiped", "drained", "beat", "spent", "dead", "dying", "burnt",
        "burned", "frazzled", "worn", "sore", "sleepy", "broken", "wrecked", "buggered", "banjaxed", "puggled",
        "pooped", "bushed", "zonked", "fatigued", "lethargic", "destroyed", "weak", "lazy", "hungover", "cooked",
        "jiggered",
    ]),
    ("low", &[
        "low", "rubbish", "crap", "awful", "terrible", "shit", "shite", "bad", "down", "sad", "depressed", "anxious",
        "stressed", "overwhelmed", "demotivated", "unmotivated", "flat", "blah", "meh", "miserable", "hopeless",
        "stuck", "lost", "defeated", "discouraged", "horrible", "rough", "lonely", "worried", "lousy", "useless",
        "grim",
    ]),
    ("vice", &[
        "pub", "bar", "pizza", "drinks", "drinking", "beer", "beers", "wine", "netflix", "telly", "tv", "sofa",
        "couch", "party", "cinema", "takeaway", "shopping", "mall", "movies", "movie", "kebab", "curry", "nap",
        "scrolled", "scrolling", "ps5", "xbox", "gaming", "biscuits", "cake",
    ]),
    ("mental", &[
        "think", "expect", "know", "realise", "realize", "mean", "believe", "imagine", "say", "mind", "like", "hate",
        "enjoy", "love", "hurt", "care", "plan", "intend",
    ]),
    ("dov", &[
        "do", "go", "make", "manage", "get", "happen", "bother", "have", "work", "workout", "train", "run", "swim",
        "walk", "read", "study", "open", "write", "meditate", "exercise", "even", "start", "complete", "find", "fit",
        "leave", "show", "turn", "end", "touch", "hit", "wake", "feel", "fancy", "want", "join", "attend", "come",
        "lift", "cycle", "stretch", "practise", "practice", "today", "tonight", "this", "in", "really", "actually",
        "quite", "sadly", "sorry", "unfortunately", "at", "log", "move", "sleep", "put", "try", "reach",
        "participate", "then", "succeed",
        "sit", "apply", "clean", "pick", "play", "cook", "tidy", "submit", "send", "finish",
    ]),
    ("quit", &[
        "skip", "quit", "bail", "stop", "miss", "cheat", "give", "let", "forget", "slack", "fail", "regret", "cancel",
        "flake", "die", "chicken",
    ]),
];

/// Words that add nothing to a message that is otherwise one word: taken off before whole messages are compared.
pub(super) static COURTESY: &[&str] = &[
    "please", "thanks", "ivy", "hi", "hey", "hello", "ok", "mate", "pal", "sorry", "lol", "haha", "tbh", "x", "xx",
    "xxx", "coach", "sir", "madam", "maam", "mam", "boss", "bro", "buddy", "dude", "love", "man", "oh", "um", "er",
    "erm", "uh", "ah", "yo", "just", "gracias", "hola", "porfavor", "today", "i", "and", "yaar", "bhai", "ji", "the",
    "actually", "unfortunately", "sadly", "so", "dear", "babe", "hun", "emojifire", "honestly", "por", "favor", "a",
    "babyy", "baby", "hmm", "queen", "sis", "cheers",
];

/// Words by which a pause is for illness, or for being away. Whole ones.
pub(super) static PAUSE_SICK: &[&str] = &[
    "sick", "ill", "illness", "flu", "unwell", "poorly", "hospital", "hospitalised", "hospitalized", "enfermo", "enferma",
];
pub(super) static PAUSE_TRAVELING: &[&str] = &[
    "holiday", "holidays", "travel", "travels", "travelling", "traveling", "vacation", "vacations", "abroad", "trip",
    "trips", "vacaciones", "viaje", "viajes",
];

/// What carriers act on; alone it unsubscribes at once. "Alto", "parar" and "baja" are what Spanish speakers send.
pub(super) static STOP_WORDS: &[&str] = &[
    "stop", "stop all", "unsubscribe", "cancel", "end", "quit", "revoke", "opt out", "alto", "parar", "pare", "baja",
    "cancelar", "unsubscribe me", "unsubscribe all", "stop stop", "cancel all", "end all", "detener", "basta",
];

/// Whole messages by intent, in the words that remain without [`COURTESY`].
pub(super) static WHOLE: &[(&str, &[&str])] = &[
    ("start", &[
        "start", "unstop", "subscribe", "opt in", "resubscribe", "alta", "iniciar", "comenzar", "suscribirme",
        "suscribir", "empezar", "subscribe me", "sign me up", "sign up",
    ]),
    ("help", &[
        "help", "info", "rescue", "help me", "ayuda", "sos", "ayudame", "socorro", "emojihelp", "emojihelp emojihelp",
        "stuck", "auxilio", "a hand", "need push", "no puedo", "support",
    ]),
    ("skip", &[
        "skip", "no", "skip it", "skip this", "skip that", "pass", "missed", "forgot", "forgotten", "fail", "failed",
        "emojino", "and", "no no", "zero", "nada", "nothing", "skipped", "skipping", "did not", "yes no", "saltar",
        "paso", "no no no", "not really", "not quite-", "afraid not", "not", "none", "nil", "i will pass",
        "will pass", "have not", "could not", "skip no", "was not able", "saltado", "omitir", "hoy no", "olvide",
        "neither", "zip", "zilch", "bailed", "overslept", "no luck", "not chance", "no chance", "no way",
        "not this time", "false", "no workout", "no time",
    ]),
    ("done", &[
        "done", "yes", "y", "ya", "yes yes", "did", "did it", "all done", "finished", "complete", "completed", "tick",
        "sorted", "hecho", "listo", "lista", "si", "ya esta", "emojidone", "emojidone emojidone", "terminado",
        "terminada", "cumplido", "affirmative", "of course", "sure did", "si ya", "went", "check", "smashed",
        "nailed", "crushed", "absolutely", "definitely", "indeed", "true", "job done", "ho gaya", "hogaya",
        "kar liya", "claro", "claro que si", "yes of course", "easy", "boom", "success", "logrado", "completado",
        "fait", "fertig", "always", "victory", "sip", "hell yes", "yes did", "for sure", "fully", "bosh",
        "accomplished", "it is done",
    ]),
    ("partial", &[
        "partial", "bits", "half", "partly", "partially", "sort of", "kind of", "bit", "some", "little", "emojipart", "ish",
        "mostly", "almost", "nearly", "semi", "halfway", "most", "medias", "mitad", "casi", "a medias", "poco",
        "un poco", "parcial", "^ mas o menos", "halfish", "short one", "half half", "not all", "half done",
        "little bit", "quick one", "halfhearted", "minimum", "algo", "50 50", "yes and no", "more or less $",
        "fifty fifty", "parcialmente",
    ]),
    ("rest", &[
        "rest", "resting", "day off", "rest day", "recovery", "recovering", "deload", "descanso", "descansar",
        "descansando", "emojirest", "recovery day", "off day", "off", "rested", "resting up", "rest up",
        "hoy descanso", "recuperacion",
    ]),
    ("reschedule", &[
        "later", "later on", "reschedule", "tomorrow", "tonight", "snooze", "not yet", "soon", "postpone", "delay",
        "another time", "luego", "manana", "despues", "mas tarde", "todavia no", "aun no", "ahora no", "esta noche",
        "esta tarde", "reprogramar", "aplazar", "evening", "not now", "bit later", "yet to", "yet to do",
        "some other time", "not right now", "in bit", "next time", "rain check", "raincheck", "posponer", "lunch",
        "lunchtime", "noon", "midday", "other time", "afternoon", "in a while", "in while", "reminder later",
        "remind", "rearrange", "change time",
    ]),
    ("pause", &[
        "pause", "paused", "holiday", "vacation", "on holiday", "on vacation", "travelling", "traveling", "sick", "ill", "mute",
        "hold", "on hold", "pausa", "pausar", "vacaciones", "de vacaciones", "break", "take break", "hiatus",
        "poorly", "suspend", "away", "out sick", "off sick",
    ]),
    ("resume", &[
        "resume", "resumed", "unpause", "continue", "back", "am back", "carry on", "restart", "reanudar", "reanuda", "continuar",
        "he vuelto", "ya volvi", "back again", "go on", "im back", "volvi", "seguir", "reactivate", "reactivar",
        "retomar", "unmute", "back on", "back to it", "ready again", "unhold", "proceed",
    ]),
    ("status", &[
        "streak", "streaks", "status", "stats", "progress", "my stats", "my streak", "my progress", "my status",
        "wallet", "my wallet", "balance", "summary", "my total", "total", "score card", "scorecard", "racha",
        "mi racha", "estado", "progreso", "mi progreso", "estadisticas", "resumen", "dashboard", "impact",
        "my impact", "saldo", "report",
    ]),
];

/// The same, but only directly to the left: "to be done", "get it done", "nearly done".
pub(super) static NEAR: &[&str] = &[
    "be", "being", "get", "getting", "gets", "half", "nearly", "almost", "casi",
];

/// What puts a part into the future.
pub(super) static PART_AHEAD: &[&str] = &[
    "will", "going", "shall", "might", "should", "can", "would", "want", "plan", "planning", "if", "need", "hope",
    "hoping", "let", "voy", "quiero", "may", "try", "trying", "could",
];

/// What people put around a keyword for carriers and still mean the keyword.
pub(super) static POLITE: &[&str] = &[
    "please", "thanks", "ivy", "hi", "hey", "hello", "ok", "sorry", "now", "sir", "madam", "por", "favor", "gracias",
    "hola", "dear", "all", "ya",
];

/// Someone else's deeds, and other talk in the words of reports.
pub(super) static NOT_MINE: &[&str] = &[
    "you", "he", "she", "they", "who", "mum", "mom", "dad", "wife", "husband", "partner", "son", "daughter", "friend",
    "boss", "team", "arsenal", "united", "everyone", "nobody", "somebody", "someone", "people", "charity", "app",
    "phone", "battery", "knee", "ankle", "hamstring", "calf", "alarm", "work", "ivy",
];

/// Persons who are not the writer.
pub(super) static OTHERS: &[&str] = &["he", "she", "they", "you", "who"];

/// Past forms that report no deed.
pub(super) static NO_DEED: &[&str] = &[
    "skipped", "missed", "bailed", "ditched", "cancelled", "canceled", "needed", "wanted", "planned", "supposed",
    "tired", "moved", "delayed", "postponed", "asked", "bored", "stressed", "interested", "scheduled", "booked",
    "promised", "hoped", "intended", "decided", "closed", "started", "stopped", "failed", "avoided", "scrapped",
    "dropped", "binned", "sacked", "dodged", "hated", "exhausted", "drained", "shattered", "wrecked", "injured",
    "called", "texted", "rescheduled", "changed", "turned", "refused", "declined", "quitted", "dreaded", "blanked",
    "ignored", "rained", "excited", "motivated", "demotivated", "unmotivated", "need", "speed", "indeed", "agreed",
    "recommended", "paused", "swapped", "shortened", "halved", "abandoned", "paid", "charged", "suggested", "matched",
    "joined",
];

/// Words to the left of a report that put it into the future, or into the realm of wishes.
pub(super) static AHEAD: &[&str] = &[
    "will", "going", "shall", "would", "should", "might", "may", "must", "need", "needs", "want", "wants", "wanted",
    "hope", "hoping", "plan", "planning", "planned", "try", "trying", "if", "once", "when", "until", "till", "til",
    "let", "can", "wish", "have-to", "promise", "aim", "aiming", "expect", "could", "tomorrow", "later", "supposed",
    "meant", "soon", "consider", "hasta", "voy", "quiero", "puedo", "cuando", "vas", "vamos", "espero", "says",
    "what", "unless", "meaning", "wanting", "unfinished",
];

/// Words to the left of a report that deny it.
pub(super) static DENIES: &[&str] = &[
    "not", "never", "no", "nothing", "hardly", "barely", "without", "nor", "neither", "failed", "unable", "nobody",
    "none", "forgot", "nunca", "tampoco", "sin", "ni", "zero",
];

pub(super) static YES: &[&str] = &[
    "yes", "si", "affirmative", "claro",
];

pub(super) static NO: &[&str] = &[
    "no", "negative",
];

/// Words around a score.
pub(super) static AROUND_SCORE: &[&str] = &[
    "a", "an", "about", "i", "would", "say", "is", "it", "at", "energy", "mood", "confidence", "health", "level",
    "levels", "my", "am", "feel", "feeling", "like", "probably", "maybe", "perhaps", "solid", "today", "out", "of",
    "tbh", "guess", "think", "put", "myself", "rate", "give", "only", "just", "the", "score", "currently", "call",
    "or", "and", "strong", "good", "bad", "great", "terrible", "awful", "not", "night", "slept", "badly", "well",
    "right", "now", "so", "far", "number", "this", "morning", "evening", "tonight", "ish", "erm", "um", "er", "hmm",
    "ok", "honestly", "fatal", "pretty", "really", "very", "bit", "low", "high", "tired", "sleep", "stress",
    "motivation", "lets", "let", "us", "im", "be", "honest", "to", "roughly", "approx", "approximately", "somewhere",
    "between", "easily", "definitely", "sure", "week", "day", "rough", "decent", "weak", "big", "lowish", "average",
    "was", "were", "overall", "id", "go", "with", "going", "for", "hovering", "sitting", "todays", "than",
    "yesterday", "better", "worse", "reckon", "suppose", "sore", "stressed", "hola", "hi", "hey", "ivy", "thanks",
    "please", "emojidone", "emojihelp", "emojifire", "emojipart", "always", "still", "same", "again", "up", "down",
    "from", "answer", "coming", "in", "un", "una", "o", "de", "como", "hoy", "diria", "que", "energia", "animo",
    "creo", "tal", "vez", "tengo", "la", "el", "alta", "baja", "estoy", "en", "siento", "me", "confianza", "mi",
    "esta", "salud", "sobre", "mas", "menos", "unos", "bien", "mal", "es", "nivel", "por", "dormi", "quizas", "quiza",
    "seria", "doy", "le", "pongo", "nota", "puntuacion", "yo", "definite", "mid", "gut", "scale", "on", "one", "ten",
    "comfortable", "firm", "meh", "fine", "alright", "okish", "bang", "generous", "generously", "if", "being", "max",
    "tops", "mental", "physical", "physically", "mentally",
    "round", "buzzing", "knackered", "don",
    "emojitick", "baby", "hip",
];

/// Words that make a number of the same clause a score.
pub(super) static SCORE_FRAMES: &[&str] = &[
    "say", "about", "feeling", "feel", "energy", "mood", "solid", "maybe", "rate", "give", "like", "probably",
];

/// Words that may stand beside a time in a message that says nothing else.
pub(super) static AROUND_TIME: &[&str] = &[
    "a", "an", "the", "at", "by", "in", "on", "to", "for", "of", "ok", "please", "ivy", "hi", "hey", "thanks",
    "sorry", "maybe", "probably", "perhaps", "say", "is", "it", "that", "good", "fine", "best", "better", "ish", "pm",
    "am", "oclock", "past", "half", "quarter", "around", "about", "just", "bit", "yes", "no", "or", "and", "then",
    "now", "i", "we", "us", "you", "me", "my", "this", "next", "first", "thing", "early", "late", "so", "actually",
    "after", "before", "until", "till", "til", "promise", "deal", "from", "with", "again", "x", "xx", "sharp", "work",
    "lunch", "dinner", "breakfast", "school", "kids", "bed", "instead", "time", "tea", "today", "busy", "running",
    "not", "do", "day", "week", "home", "sometime", "afternoon", "morning", "evening", "night", "noon", "hmm", "um",
    "er", "erm", "more", "off", "clock", "office", "meeting", "las", "la", "el", "de", "por", "en", "lo", "mas",
    "esta", "mejor", "los", "al", "del", "si", "vale", "tipo", "sobre", "media", "hora", "y", "tarde", "noche",
    "trabajo", "cena", "cenar", "comer", "hoy", "temprano", "puede", "ser", "podria", "seria", "quizas", "quiza",
    "vez", "llamame", "possible", "possibly", "could", "can", "ask", "lets", "let", "how", "ideally", "latest",
    "earliest", "definitely", "def", "surely", "will", "there", "aim", "closer", "nearer", "towards", "roughly",
    "another", "go", "going", "hopefully",
    "same", "like", "swear", "down", "lecture", "class", "training", "uni", "honest", "cool", "perfect", "works",
];

/// Whole messages that ask to stop and are no keyword.
pub(super) static STOP_IT: &[&str] = &[
    "stop it", "just stop", "just stop it", "stop it now", "stop it please", "please stop it", "stop this", "enough", "enough stop", "stop it all",
];
/// Words that make talk of coming back one about Ivy's calls.
pub(super) static ABOUT_CALLS: &[&str] = &[
    "call", "calls", "calling", "ringing", "ring", "pause", "resume", "restart", "unpause", "continue", "llamadas", "pausa", "continuar", "reanudar", "holiday",
    "vacation",
];
pub(super) static BY_MISTAKE: &[&str] = &["accident", "mistake", "accidentally"];
pub(super) static STOPPED: &[&str] = &["stop", "unsubscribe", "cancel", "opt", "opted"];
/// To the left of "texting me again": no start.
pub(super) static NOT_AGAIN: &[&str] = &["not", "never", "stop", "no", "quit", "deja", "dejen"];

pub(super) static SCOPE_CALLS: &[&str] = &[
    "call", "calls", "calling", "phone", "phoning", "ring", "ringing", "rings", "voice", "llamadas", "llamada",
    "llamar", "llamarme", "phonecalls",
];

pub(super) static SCOPE_MESSAGES: &[&str] = &[
    "text", "texts", "texting", "message", "messages", "messaging", "whatsapp", "whatsapping", "notifications",
    "chat", "mensajes", "mensaje", "textos", "escribirme", "reminders", "writing",
];

pub(super) static SCOPE_EVERYTHING: &[&str] = &[
    "both", "everything", "all", "every", "lot", "whole", "all of it", "anything", "todo", "ambos", "ambas", "todas",
    "todos", "entire", "contact", "contacting", "alone", "stop", "dos",
];

/// "All" before one of these asks for nothing.
pub(super) static WELL: &[&str] = &["good", "fine", "ok", "well", "great", "right"];

/// Beside one of these, "all of it" tells of a workout.
pub(super) static DONE_WITH_IT: &[&str] = &["did", "done", "finished", "completed", "went", "ran", "managed", "smashed", "hice"];

/// The words of a class; an unknown name is a class of nothing, which a test excludes.
pub(super) fn class(name: &str) -> &'static [&'static str] {
    CLASSES.iter().find(|(known, _)| *known == name).map_or(&[], |(_, words)| words)
}

/// Whether a table knows a word, which is no typing error then.
pub(super) fn is_known(word: &str) -> bool {
    KNOWN.contains(word)
}

/// Every word that a table knows, collected when the first word comes that looks like a typing error.
static KNOWN: LazyLock<HashSet<&str>> = LazyLock::new(|| {
    let lists = [
        POLITE,
        NEAR,
        PART_AHEAD,
        NOT_MINE,
        AHEAD,
        DENIES,
        YES,
        NO,
        AROUND_SCORE,
        AROUND_TIME,
        NUMBERS,
        COURTESY,
        STOP_WORDS,
        TURNS,
        BECAUSE,
        AFTER_AND,
        AFTER_SO,
        AFTER_WILL,
        KEYWORDS,
    ];
    let classes = CLASSES.iter().map(|(_, words)| *words);
    let whole = WHOLE.iter().map(|(_, words)| *words);
    let entries = phrases::TABLES_OF_PATTERNS.iter().copied().chain(lists).chain(classes).chain(whole).flatten();
    let words = entries.flat_map(|entry| entry.split([' ', '/'])).map(|word| word.strip_suffix('?').unwrap_or(word));
    words.filter(|word| word.starts_with(|c: char| c.is_ascii_alphanumeric())).collect()
});
