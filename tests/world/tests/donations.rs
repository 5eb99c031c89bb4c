//! What was donated, told in three ways that must agree with the donations themselves: the list, the impact, the receipts. And
//! the charities, and the job that begins wallet periods.

#![allow(clippy::unwrap_used, reason = "a helper of tests says what broke by panicking")]

use std::collections::BTreeMap;

use aws_sdk_dynamodb::types::AttributeValue;
use ivy_domain::{CharityId, CompanyId, Tier, charity::Charity, company::Company};
use ivy_flows::ports::Queues;
use ivy_runtime::jobs;
use ivy_store::Profile;
use ivy_world::{Job, Person, World, at};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

const PHONE: &str = "+447700900170";

async fn noon(tier: &str) -> (World, Person) {
    let world = World::at("2026-11-23T12:00:00Z").await;
    let mara = Box::pin(world.person(PHONE).tier(tier).without_planned_calls().join(&world)).await;
    (world, mara)
}

async fn completes(world: &World, mara: &Person) -> Value {
    let workout = mara.plan("Run", world.now()).await;
    mara.log(&workout, "completed").await
}

/// Time passes, and the app is opened often enough to stay signed in.
async fn later(world: &World, mara: &Person, until: &str) {
    let until: Timestamp = until.parse().unwrap();
    while world.now() < until {
        world.advance_to(until.min(world.now() + SignedDuration::from_hours(20 * 24))).await;
        mara.wallet().await;
    }
}

async fn another_charity(world: &World, name: &str, unit: &str, milli: i64) -> CharityId {
    let id = CharityId::generate(world.now());
    let charity = Charity { id, name: name.to_owned(), impact_unit: unit.to_owned(), impact_per_pound_milli: milli };
    Box::pin(world.ivy.store.put_charity(&charity)).await.unwrap();
    id
}

async fn chooses(mara: &Person, charity: CharityId) {
    mara.client.patch("/api/users/me", json!({"charity_id": charity.to_string()}), 200).await;
}

/// The donations as they stand in the table, in the order of their ids: how many pence, to whom.
async fn raw(world: &World) -> Vec<(String, i64, String)> {
    let mut donations: Vec<_> = world
        .items("donation")
        .await
        .iter()
        .map(|item| {
            let text = |name: &str| item[name].as_s().unwrap().clone();
            (text("id"), item["amount"].as_n().unwrap().parse().unwrap(), text("charity_id"))
        })
        .collect();
    donations.sort();
    donations
}

fn pence(value: &Value) -> i64 {
    (value.as_f64().unwrap() * 100.0).round() as i64
}

async fn all(mara: &Person, list: &str, filter: &str, limit: usize) -> Vec<Value> {
    let mut found = Vec::new();
    let mut cursor = String::new();
    loop {
        let page = mara.get(&format!("/api/{list}?limit={limit}{filter}{cursor}")).await;
        let items = page["items"].as_array().unwrap();
        assert!(page["next_cursor"].is_null() || items.len() == limit, "{page}");
        assert!(!items.is_empty() || cursor.is_empty(), "a last page with nothing on it");
        found.extend(items.iter().cloned());
        match page["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return found,
        }
    }
}

/// The sums that people see are those of the donations in the table.
async fn check_the_sums(world: &World, mara: &Person) {
    let raw = raw(world).await;
    let total: i64 = raw.iter().map(|(_, amount, _)| amount).sum();
    let mut by_charity: BTreeMap<String, i64> = BTreeMap::new();
    for (_, amount, charity) in &raw {
        *by_charity.entry(charity.clone()).or_default() += amount;
    }
    let impact = mara.get("/api/users/me/impact").await;
    assert_eq!(pence(&impact["total_donated"]), total);
    let shown: BTreeMap<String, i64> = impact["by_charity"]
        .as_array()
        .unwrap()
        .iter()
        .map(|line| (line["charity"]["id"].as_str().unwrap().to_owned(), pence(&line["donated"])))
        .collect();
    assert_eq!(shown, by_charity);
    let wallet = mara.wallet().await;
    assert_eq!(
        (pence(&wallet["lifetime_donated"]), &wallet["amount_used"]),
        (total, &impact["this_period"]["donated"])
    );
    let receipts = all(mara, "users/me/receipts", "", 1).await;
    assert_eq!(receipts.iter().map(|receipt| pence(&receipt["total"])).sum::<i64>(), total);
    let lines: i64 = receipts
        .iter()
        .flat_map(|receipt| receipt["lines"].as_array().unwrap())
        .map(|line| pence(&line["amount"]))
        .sum();
    assert_eq!(lines, total);
    let count: i64 = receipts.iter().map(|receipt| receipt["donations"].as_i64().unwrap()).sum();
    assert_eq!(usize::try_from(count).unwrap(), raw.len());
    for limit in [1, 2, 7, 100] {
        let list = all(mara, "users/me/donations", "", limit).await;
        let amounts: Vec<i64> = list.iter().map(|donation| pence(&donation["amount"])).collect();
        assert_eq!(amounts, raw.iter().rev().map(|(_, amount, _)| *amount).collect::<Vec<_>>(), "by {limit}");
    }
}

#[tokio::test]
async fn list_impact_and_receipts_agree_with_the_donations() {
    let (world, mara) = noon("b2c_elite").await;
    check_the_sums(&world, &mara).await;
    let water = another_charity(&world, "WaterAid", "days of clean water", 3000).await;
    // Twelve days with a bonus on the seventh, a capped day, an undone and a deleted workout, and two charities.
    for day in 0..12 {
        let done = completes(&world, &mara).await;
        match day {
            2 => {
                for _ in 0..3 {
                    completes(&world, &mara).await;
                }
            }
            4 => {
                mara.log(done["id"].as_str().unwrap(), "partial").await;
            }
            5 => chooses(&mara, water).await,
            9 => {
                let workout = done["id"].as_str().unwrap();
                mara.client.delete(&format!("/api/workouts/{workout}"), 204).await;
                completes(&world, &mara).await;
            }
            _ => {}
        }
        check_the_sums(&world, &mara).await;
        world.advance(SignedDuration::from_hours(24)).await;
    }
    let impact = mara.get("/api/users/me/impact").await;
    let lines = impact["by_charity"].as_array().unwrap();
    assert_eq!(lines[0]["charity"]["name"], "WaterAid");
    assert_eq!(
        (&lines[0]["donated"], &lines[0]["impact_equivalent"]),
        (&json!(13.5), &json!("40 days of clean water"))
    );
    assert_eq!((&lines[1]["donated"], &lines[1]["impact_equivalent"]), (&json!(11.5), &json!("23 helpline calls")));
    let list = all(&mara, "users/me/donations", "", 100).await;
    let bonus: Vec<&Value> = list.iter().filter(|donation| donation["kind"] == "streak_bonus").collect();
    assert_eq!(bonus.len(), 1);
    assert_eq!((&bonus[0]["kept_days"], &bonus[0]["amount"]), (&json!(7), &json!(3.0)));
    assert_eq!((&bonus[0]["workout_id"], &bonus[0]["date"]), (&Value::Null, &json!("2026-11-29")));
    assert!(list.iter().all(|donation| donation["kind"] == "streak_bonus" || donation["workout_id"].is_string()));
}

#[tokio::test]
async fn donations_are_listed_by_the_local_days_on_which_they_were_made() {
    let (world, mara) = noon("b2c_elite").await;
    mara.client.patch("/api/users/me", json!({"timezone": "Asia/Tokyo"}), 200).await;
    world.advance(SignedDuration::from_hours(48)).await;
    // 02:50 on 28 November in Tokyo is still the 27th; ten minutes later it is the 28th.
    for time in ["2026-11-27T17:50:00Z", "2026-11-27T18:00:00Z"] {
        world.advance_to(time.parse().unwrap()).await;
        completes(&world, &mara).await;
    }
    let made_at = async |filter: &str| -> Vec<Value> {
        all(&mara, "users/me/donations", filter, 20)
            .await
            .iter()
            .map(|donation| donation["created_at"].clone())
            .collect()
    };
    let (early, late) = (json!("2026-11-27T17:50:00Z"), json!("2026-11-27T18:00:00Z"));
    assert_eq!(made_at("").await, [late.clone(), early.clone()]);
    assert_eq!(made_at("&to=2026-11-27").await, std::slice::from_ref(&early));
    assert_eq!(made_at("&from=2026-11-28").await, std::slice::from_ref(&late));
    assert_eq!(made_at("&from=2026-11-27&to=2026-11-28").await, [late, early]);
    assert!(made_at("&from=2026-11-29").await.is_empty() && made_at("&to=2026-11-26").await.is_empty());
    let wrong = mara.client.try_get("/api/users/me/donations?from=2026-11-29&to=2026-11-28").await;
    assert_eq!(wrong.problem(422, "invalid-input")["errors"][0]["field"], "from");
    let cursor = mara.get("/api/users/me/donations?limit=1").await["next_cursor"].as_str().unwrap().to_owned();
    let other = mara.client.try_get(&format!("/api/users/me/donations?to=2026-11-28&cursor={cursor}")).await;
    assert_eq!(other.problem(422, "invalid-input")["errors"][0]["field"], "cursor");
}

/// Makes somebody the employee of a company. The table is written directly: what matters here is whose money it is.
async fn employed_by(world: &World, mara: &Person, name: &str) {
    let id = CompanyId::generate(world.now());
    let company = Company { id, name: name.to_owned(), monthly_wallet_per_employee: None };
    Box::pin(world.ivy.store.put_company(&company)).await.unwrap();
    let Profile { mut user, cipher } = Box::pin(world.ivy.store.me(mara.id)).await.unwrap().unwrap().profile;
    (user.subscription_type, user.company_id) = (Tier::B2bSponsor, Some(id));
    let mut transaction = world.ivy.store.transaction();
    transaction.user(&Profile { user, cipher });
    Box::pin(transaction.commit()).await.unwrap();
}

#[tokio::test]
async fn a_receipt_says_whose_donation_it_is_month_by_month() {
    let (world, mara) = noon("b2c_elite").await;
    assert_eq!(mara.get("/api/users/me/receipts").await["items"], json!([]));
    completes(&world, &mara).await;
    world.advance(SignedDuration::from_hours(24)).await;
    employed_by(&world, &mara, "Brightworks").await;
    completes(&world, &mara).await;
    completes(&world, &mara).await;
    mara.client.patch("/api/users/me", json!({"last_name": "Lane"}), 200).await;
    let november = mara.get("/api/users/me/receipts?month=2026-11").await;
    let receipt = &november["items"][0];
    assert_eq!((&receipt["month"], &receipt["complete"]), (&json!("2026-11"), &json!(false)));
    assert_eq!(receipt["on_behalf_of"], "Mara Lane");
    assert_eq!((&receipt["total"], &receipt["donations"]), (&json!(3.5), &json!(3)));
    let line = |index: usize| {
        let line = &receipt["lines"][index];
        (line["donor"].clone(), line["amount"].clone(), line["donations"].clone(), line["charity"]["name"].clone())
    };
    assert_eq!(line(0), (json!("Brightworks"), json!(2.0), json!(2), json!("Mind")));
    assert_eq!(line(1), (json!("Ivy"), json!(1.5), json!(1), json!("Mind")));

    // 02:00 on 1 December is still November; January has its own receipt, December without donations has none.
    world.advance_to("2026-12-01T02:00:00Z".parse().unwrap()).await;
    completes(&world, &mara).await;
    later(&world, &mara, "2027-01-05T12:00:00Z").await;
    completes(&world, &mara).await;
    for limit in [1, 2, 3] {
        let months: Vec<Value> = all(&mara, "users/me/receipts", "", limit)
            .await
            .iter()
            .map(|receipt| json!([receipt["month"], receipt["donations"], receipt["complete"]]))
            .collect();
        assert_eq!(months, [json!(["2027-01", 1, false]), json!(["2026-11", 4, true])], "by {limit}");
    }
    assert_eq!(mara.get("/api/users/me/receipts?month=2026-12").await["items"], json!([]));
    for month in ["2026-13", "2026-1", "2026", "2026-11-01", "26-11", ""] {
        let wrong = mara.client.try_get(&format!("/api/users/me/receipts?month={month}")).await;
        assert_eq!(wrong.problem(422, "invalid-input")["errors"][0]["field"], "month", "{month}");
    }
    check_the_sums(&world, &mara).await;
}

#[tokio::test]
async fn donations_at_once_all_stand_on_the_receipt() {
    let (world, mara) = noon("b2c_elite").await;
    let mut workouts = Vec::new();
    for _ in 0..4 {
        workouts.push(mara.plan("Run", at("12:30")).await);
    }
    let log = |index: usize| Box::pin(mara.log(&workouts[index], "completed"));
    tokio::join!(log(0), log(1), log(2), log(3));
    assert_eq!(world.donations().await, [100, 150, 150]);
    check_the_sums(&world, &mara).await;
}

#[tokio::test]
async fn charities_are_listed_by_name_and_paged() {
    let (world, mara) = noon("b2c_pro").await;
    for name in ["WaterAid", "Food Bank", "Shelter", "Anchor"] {
        another_charity(&world, name, "meals", 500).await;
    }
    let names = |items: &[Value]| -> Vec<String> {
        items.iter().map(|item| item["name"].as_str().unwrap().to_owned()).collect()
    };
    let sorted = ["Anchor", "Food Bank", "Mind", "Shelter", "WaterAid"];
    for limit in 1..=6 {
        assert_eq!(names(&all(&mara, "charities", "", limit).await), sorted, "by {limit}");
    }
    let page = mara.get("/api/charities").await;
    let mind = &page["items"][2];
    assert_eq!(mind["id"], world.charity().to_string());
    assert_eq!((&mind["impact_unit"], &mind["impact_per_pound"]), (&json!("helpline calls"), &json!(2.0)));
    assert_eq!((&mind["is_default"], &page["items"][0]["is_default"]), (&json!(true), &json!(false)));
    world.client().try_get("/api/charities").await.problem(401, "unauthorized");
    // A new one shows within ten minutes, for each process keeps its list so long.
    another_charity(&world, "Beacon", "meals", 500).await;
    assert_eq!(names(page["items"].as_array().unwrap()).len(), 5);
    world.advance(SignedDuration::from_mins(11)).await;
    assert_eq!(all(&mara, "charities", "", 100).await.len(), 6);
}

// reset-wallets

async fn reset_wallets(world: &World, time: &str) {
    world.run_job(Job::ResetWallets, time.parse().unwrap()).await;
}

/// The periods as stored, by owner.
async fn periods(world: &World) -> BTreeMap<String, (String, i64, i64)> {
    let items = world.items("wallet").await;
    let row = |item: &ivy_store::Item| {
        let number = |name: &str| item[name].as_n().unwrap().parse().unwrap();
        let start = item["period_start"].as_s().unwrap().clone();
        (item["pk"].as_s().unwrap().clone(), (start, number("amount_used"), number("version")))
    };
    items.iter().map(row).collect()
}

#[tokio::test]
async fn the_job_begins_what_is_over_and_writes_nothing_else() {
    let (world, mara) = noon("b2c_elite").await;
    employed_by(&world, &mara, "Brightworks").await;
    let billed = Box::pin(world.person("+447700900171").without_planned_calls().join(&world)).await;
    let tokyo = world.person("+447700900172").signing_up("timezone", json!("Asia/Tokyo")).without_planned_calls();
    let tokyo = Box::pin(tokyo.join(&world)).await;
    let idle = Box::pin(world.person("+447700900173").without_planned_calls().join(&world)).await;
    for person in [&mara, &billed, &tokyo] {
        completes(&world, person).await;
    }
    let of = |periods: &BTreeMap<String, (String, i64, i64)>, person: &Person| {
        periods.get(&format!("USER#{}", person.id)).cloned()
    };
    world.advance_to("2026-12-01T03:20:00Z".parse().unwrap()).await;
    let before = periods(&world).await;
    reset_wallets(&world, "2026-12-01T03:20:07Z").await;
    let after = periods(&world).await;
    // Sponsored, so the month of London ended; a bill's month has three weeks to go; it is another hour in Tokyo.
    let (used, began) = (of(&before, &mara).unwrap(), of(&after, &mara).unwrap());
    assert_eq!((used.1, began.1, began.2), (100, 0, used.2 + 1), "{used:?} {began:?}");
    assert_eq!(began.0, "2026-12-01T03:00:00Z");
    assert_eq!((of(&after, &billed), of(&after, &tokyo)), (of(&before, &billed), of(&before, &tokyo)));
    assert_eq!(of(&after, &idle), None);
    let wallet = mara.wallet().await;
    assert_eq!((&wallet["amount_used"], &wallet["lifetime_donated"]), (&json!(0.0), &json!(1.0)));
    check_mara_once_more(&world, &mara).await;
}

/// Again, from a replayed event, and after use: the period begins once.
async fn check_mara_once_more(world: &World, mara: &Person) {
    completes(world, mara).await;
    let used = periods(world).await;
    for time in ["2026-12-01T03:20:07Z", "2026-12-01T03:59:59Z", "2026-11-30T03:20:00Z"] {
        reset_wallets(world, time).await;
        assert_eq!(periods(world).await, used, "{time}");
    }
    assert_eq!(mara.wallet().await["amount_used"], 1.0);
}

#[tokio::test]
async fn a_period_that_was_used_first_is_not_begun_again() {
    let (world, mara) = noon("b2c_elite").await;
    completes(&world, &mara).await;
    later(&world, &mara, "2026-12-23T12:00:00Z").await;
    completes(&world, &mara).await;
    let used = periods(&world).await;
    assert_eq!(used.values().next().unwrap().1, 150, "begun by its use");
    world.advance_to("2026-12-24T03:20:00Z".parse().unwrap()).await;
    reset_wallets(&world, "2026-12-24T03:20:00Z").await;
    assert_eq!(periods(&world).await, used);
}

#[tokio::test]
async fn job_and_completion_at_once_begin_the_period_once_and_lose_nothing() {
    for round in 0..4 {
        let (world, mara) = noon("b2c_elite").await;
        completes(&world, &mara).await;
        later(&world, &mara, "2026-12-24T03:20:00Z").await;
        let queues: std::sync::Arc<dyn Queues> = world.queues.clone();
        let job = |scheduled| ivy_donations::reset_wallets::reset_wallets(queues, scheduled);
        jobs::handle(&json!({"time": world.now()}), "world", job).await.unwrap();
        assert!(!world.queues.waiting().is_empty());
        tokio::join!(Box::pin(world.settle()), Box::pin(completes(&world, &mara)));
        world.settle().await;
        let periods = periods(&world).await;
        let (start, used, _) = periods.values().next().unwrap();
        assert_eq!((start.as_str(), *used), ("2026-12-23T12:00:00Z", 150), "round {round}");
        check_the_sums(&world, &mara).await;
    }
}

#[tokio::test]
async fn what_was_given_to_a_charity_that_is_gone_is_still_shown() {
    let world = World::new().await;
    let mara = world.person("+447700900577").join(&world).await;
    let workout = mara.plan("a run", world.now() + SignedDuration::from_hours(1)).await;
    mara.log(&workout, "completed").await;
    let key = std::collections::HashMap::from([
        ("pk".to_owned(), AttributeValue::S("CHARITIES".to_owned())),
        ("sk".to_owned(), AttributeValue::S(world.charity().to_string())),
    ]);
    Box::pin(world.table.delete_item().table_name(ivy_world::TABLE).set_key(Some(key)).send()).await.unwrap();
    // Each process keeps its copy of a charity for ten minutes.
    world.clock.set(world.now() + SignedDuration::from_mins(11));
    let former = json!({"id": world.charity(), "name": "a former charity"});
    let donations = mara.get("/api/users/me/donations").await;
    assert_eq!((&donations["items"][0]["charity"], &donations["items"][0]["amount"]), (&former, &json!(1.0)));
    let impact = mara.get("/api/users/me/impact").await;
    assert_eq!(impact["by_charity"], json!([{"charity": former, "donated": 1.0, "impact_equivalent": null}]));
    let receipts = mara.get("/api/users/me/receipts").await;
    assert_eq!(receipts["items"][0]["lines"][0]["charity"], former);
}
