//! Which objects of a list are asked for, in which order.

use std::cmp::Ordering;

use axum::extract::{FromRequestParts, Query};
use axum::http::request::Parts;
use axum::response::{IntoResponse, Response};
use driftline_core::Result;
use driftline_fiddler_api::Page;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::fields::id;
use super::filter::{Filter, compare, lookup};
use crate::domain::discovery::discover;
use crate::domain::error;
use crate::domain::objects::{self, Model};
use crate::http::app::App;
use crate::http::envelope::{Answer, ApiError, paginated};

const LIMIT: usize = 50;
const HIGHEST_LIMIT: usize = 10_000;

/// What the query of a list asks for.
#[derive(Debug, Clone)]
pub struct List {
    filter: Filter,
    ordering: Vec<Order>,
    limit: usize,
    offset: usize,
    /// `type`, which lists of environments have.
    pub(crate) kind: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Order {
    field: String,
    descending: bool,
}

#[derive(Deserialize)]
struct Asked {
    filter: Option<String>,
    ordering: Option<String>,
    limit: Option<String>,
    offset: Option<String>,
    #[serde(rename = "type")]
    kind: Option<String>,
}

impl List {
    fn of(asked: Asked) -> Result<Self> {
        let number = |name: &str, text: Option<String>, default| match text {
            None => Ok(default),
            Some(text) => text
                .parse()
                .map_err(|_| error::invalid(format!("{name} is {text:?}, not a number"))),
        };
        let limit = number("limit", asked.limit, LIMIT)?;
        if !(1..=HIGHEST_LIMIT).contains(&limit) {
            let message = format!("limit is {limit}, not 1 to {HIGHEST_LIMIT}");
            return Err(error::invalid(message));
        }
        let order = |field: &str| match field.strip_prefix('-') {
            Some(field) => Order {
                field: field.to_owned(),
                descending: true,
            },
            None => Order {
                field: field.to_owned(),
                descending: false,
            },
        };
        Ok(Self {
            filter: match asked.filter.as_deref() {
                None | Some("") => Filter::default(),
                Some(text) => Filter::parse(text)?,
            },
            ordering: asked
                .ordering
                .iter()
                .flat_map(|fields| fields.split(','))
                .filter(|field| !field.is_empty())
                .map(order)
                .collect(),
            limit,
            offset: number("offset", asked.offset, 0)?,
            kind: asked.kind,
        })
    }

    /// The answer of what all models have.
    pub(super) async fn of_models<T: Serialize>(
        self,
        app: &App,
        objects_of: impl Fn(&App, &Model) -> Result<Vec<T>> + Send + 'static,
    ) -> Answer {
        app.blocking(move |app| {
            discover(&app.store, &app.catalog)?;
            let mut items = Vec::new();
            for model in app.catalog.read(objects::models)? {
                items.extend(objects_of(app, &model)?);
            }
            self.answer(items)
        })
        .await
    }

    /// The answer of what the model with the id `text` has.
    pub(super) async fn of_model<T: Serialize>(
        self,
        app: &App,
        text: String,
        objects_of: impl FnOnce(&App, &Model) -> Result<Vec<T>> + Send + 'static,
    ) -> Answer {
        app.blocking(move |app| {
            let id = id(&text, "Model")?;
            let model = app
                .catalog
                .read(|documents| objects::model(documents, id))?;
            self.answer(objects_of(app, &model)?)
        })
        .await
    }

    /// The answer of these objects, as far as they are asked for.
    pub fn answer<T: Serialize>(&self, objects: Vec<T>) -> Result<Response> {
        // A filter and an order name fields, whatever type has them.
        let objects = objects.into_iter().map(serde_json::to_value);
        let mut objects: Vec<Value> = objects.collect::<Result<_, _>>().map_err(error::internal)?;
        objects.retain(|object| self.filter.passes(object));
        // Stable: what is equal stays in the order in which it was made.
        objects.sort_by(|a, b| {
            self.ordering
                .iter()
                .map(|order| {
                    let found = compare(lookup(a, &order.field), lookup(b, &order.field));
                    let found = found.unwrap_or(Ordering::Equal);
                    if order.descending {
                        found.reverse()
                    } else {
                        found
                    }
                })
                .find(|found| found.is_ne())
                .unwrap_or(Ordering::Equal)
        });
        Ok(paginated(Page::cut(objects, self.offset, self.limit)))
    }
}

impl<S: Send + Sync> FromRequestParts<S> for List {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Response> {
        let Query(asked) = Query::<Asked>::from_request_parts(parts, state)
            .await
            .map_err(IntoResponse::into_response)?;
        Self::of(asked).map_err(|error| ApiError::from(error).into_response())
    }
}
