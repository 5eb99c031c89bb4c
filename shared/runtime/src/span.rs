//! Spans of local days in query strings: `from` and `to`, both included, each of which may be left out.

use ivy_flows::FieldError;
use jiff::civil::Date;

use crate::problem::Problem;

/// The fault of a span that ends before it begins, in the words of [`in_order`]; for the list of all wrong fields. Takes the fields as
/// they were read.
#[must_use]
pub fn out_of_order(from: Option<&Option<Date>>, to: Option<&Option<Date>>) -> Option<FieldError> {
    match (from.copied().flatten(), to.copied().flatten()) {
        (Some(from), Some(to)) if from > to => Some(FieldError::new("from", "must not lie after to")),
        _ => None,
    }
}

/// Checks that a span does not end before it begins.
///
/// # Errors
/// 422 on `from`.
pub fn in_order(from: Option<Date>, to: Option<Date>) -> Result<(), Problem> {
    out_of_order(Some(&from), Some(&to)).map_or(Ok(()), |fault| Err(Problem::invalid(vec![fault])))
}

/// The span of an answer that is counted from all items in it: `to` by default today, `from` by default so many days before
/// it, and at most `longest` days in all.
///
/// # Errors
/// 422 on `from`.
pub fn bounded(
    from: Option<Date>,
    to: Option<Date>,
    today: Date,
    usual_days: i32,
    longest: i32,
) -> Result<(Date, Date), Problem> {
    let to = to.unwrap_or(today);
    let from = from.unwrap_or_else(|| ivy_domain::days::plus_days(to, 1 - usual_days));
    in_order(Some(from), Some(to))?;
    if ivy_domain::days::days_between(from, to) >= longest {
        let message = format!("must lie within {longest} days before to");
        return Err(Problem::invalid(vec![FieldError::new("from", message)]));
    }
    Ok((from, to))
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::civil::date;

    #[test]
    fn a_span_has_an_end_an_order_and_a_length() {
        let today = date(2026, 11, 23);
        assert_eq!(bounded(None, None, today, 30, 366).unwrap(), (date(2026, 10, 25), today));
        assert_eq!(bounded(None, Some(date(2026, 1, 7)), today, 7, 366).unwrap().0, date(2026, 1, 1));
        assert_eq!(bounded(Some(date(2025, 11, 23)), None, today, 30, 366).unwrap().1, today);
        assert_eq!(bounded(Some(today), Some(today), today, 30, 1).unwrap(), (today, today));
        assert_eq!(bounded(Some(date(2025, 11, 22)), None, today, 30, 366).unwrap_err().status(), 422);
        assert_eq!(bounded(Some(date(2026, 11, 24)), None, today, 30, 366).unwrap_err().status(), 422);
        assert!(in_order(Some(date(2026, 11, 24)), None).is_ok());
    }
}
