//! The service behind a proxy: calls are forwarded, or fail.

use std::time::Instant;

use http_body_util::{BodyExt, Collected, Full};
use hyper::body::Bytes;
use hyper::header::{CONNECTION, CONTENT_LENGTH, HOST, TRANSFER_ENCODING};
use hyper::{Method, Request, Response, StatusCode};
use serde_json::{Value, json};

use super::half::{self, Half, HalfResponse, LateItem};
use super::{Fault, Faults, Service, answers, capacity};
use crate::server::{CloseConnection, Reply, json_response};

/// The service behind a proxy.
pub(super) struct Upstream {
    pub(super) client: reqwest::Client,
    pub(super) url: String,
    pub(super) service: Service,
    pub(super) faults: Faults,
}

impl Upstream {
    pub(super) async fn answer(&self, request: Request<Bytes>) -> Reply {
        if request.method() == Method::GET && self.service != Service::Http {
            let (calls, injected) = self.faults.counted();
            let counted = json!({ "calls": calls, "injected": injected });
            return Ok(json_response(StatusCode::OK, "application/json", counted.to_string()));
        }
        let operation = self.operation(&request);
        let (fault, plan, work) = self.faults.next(self.service, &operation);
        if let Some(work) = work {
            work.await;
        }
        if let Some(Fault::ShowHalf(half)) = fault
            && operation == "TransactWriteItems"
        {
            return self.show_half(request, &operation, half).await;
        }
        match fault {
            None => self.serve(request, &operation).await,
            Some(Fault::ShowHalf(half)) => {
                let reply = self.serve(request, &operation).await;
                if half.response == HalfResponse::None { Err(CloseConnection) } else { reply }
            }
            Some(Fault::RefuseBefore) => Err(CloseConnection),
            Some(Fault::Hang) => std::future::pending().await,
            Some(Fault::LoseAnswer) => {
                self.serve(request, &operation).await?;
                Err(CloseConnection)
            }
            Some(Fault::KillAfter) => {
                self.serve(request, &operation).await?;
                self.faults.kill(plan);
                std::future::pending().await
            }
            Some(Fault::Slow(delay)) => {
                let reply = self.serve(request, &operation).await;
                tokio::time::sleep(delay).await;
                reply
            }
            Some(fault @ (Fault::Conflict | Fault::Throttle | Fault::ServerError | Fault::Invalid)) => {
                Ok(answers::of(self.service, fault, &operation, request.body()))
            }
        }
    }

    fn operation(&self, request: &Request<Bytes>) -> String {
        if self.service == Service::Sns {
            let mut form = form_urlencoded::parse(request.body());
            return form.find(|(name, _)| name == "Action").map(|(_, action)| action.into_owned()).unwrap_or_default();
        }
        if self.service == Service::Http {
            return request.uri().path().rsplit('/').next().unwrap_or_default().to_owned();
        }
        let target = request.headers().get("x-amz-target").and_then(|target| target.to_str().ok()).unwrap_or_default();
        target.rsplit('.').next().unwrap_or_default().to_owned()
    }

    /// Forwards a call, and responds as DynamoDB does while some items are late.
    async fn serve(&self, request: Request<Bytes>, operation: &str) -> Reply {
        if self.service != Service::DynamoDb {
            return self.forward(request, operation).await;
        }
        let asked = request.body().clone();
        let is_write = !matches!(operation, "GetItem" | "BatchGetItem" | "Query" | "Scan" | "TransactGetItems");
        let _writing = if is_write { Some(self.faults.shared.writes.read().await) } else { None };
        let late = self.faults.late();
        if !late.is_empty() {
            let asked: Value = serde_json::from_slice(&asked).unwrap_or_default();
            if late.iter().any(|late| late.refuses(operation, &asked)) {
                return Ok(answers::of(self.service, Fault::Conflict, operation, request.body()));
            }
        }
        let mut reply = self.forward(request, operation).await?;
        // Includes items that became late meanwhile: once a reader has seen the new item, no reader sees the old one.
        let late = if is_write { Vec::new() } else { self.faults.late() };
        if !late.is_empty() && reply.status().is_success() {
            let body = reply.body_mut().collect().await.map(Collected::to_bytes).unwrap_or_default();
            let asked: Value = serde_json::from_slice(&asked).unwrap_or_default();
            let mut answer: Value = serde_json::from_slice(&body).unwrap_or_default();
            late.iter().for_each(|late| late.show(operation, &asked, &mut answer));
            reply.headers_mut().remove("x-amz-crc32");
            *reply.body_mut() = Full::new(half::body_of(&answer));
        }
        Ok(reply)
    }

    /// Applies a transaction, and shows one of its old items to readers for some time.
    async fn show_half(&self, request: Request<Bytes>, operation: &str, half: Half) -> Reply {
        let writing = self.faults.shared.writes.write().await;
        let asked: Value = serde_json::from_slice(request.body()).unwrap_or_default();
        if self.faults.late().iter().any(|late| late.refuses(operation, &asked)) {
            return Ok(answers::of(self.service, Fault::Conflict, operation, request.body()));
        }
        let late = self.to_be_late(&request, half).await;
        let until = late.as_ref().map_or_else(Instant::now, |late| late.until);
        // Before it is applied: a reader that has seen the new item must not see the old one.
        self.faults.state().late.extend(late.clone());
        let reply = self.forward(request, operation).await;
        let is_done = reply.as_ref().is_ok_and(|reply| reply.status().is_success());
        if !is_done && let Some(late) = late {
            self.faults.state().late.retain(|other| other.table != late.table || other.key != late.key);
        }
        drop(writing);
        match half.response {
            HalfResponse::None => Err(CloseConnection),
            HalfResponse::AfterCommit => {
                if is_done {
                    tokio::time::sleep_until(until.into()).await;
                }
                reply
            }
        }
    }

    /// Reads the item of a transaction that is to be late.
    async fn to_be_late(&self, request: &Request<Bytes>, half: Half) -> Option<LateItem> {
        let mut writes = half::writes(request.body());
        let last = writes.len().checked_sub(1)?;
        let (table, write) = writes.swap_remove(half.late.min(last));
        let names = self.keys_of(request, &table).await?;
        let key = half::key_of(&write, &names)?;
        let get = json!({ "TableName": table, "Key": key, "ConsistentRead": true });
        let before = self.ask(request, "GetItem", &get).await?.get("Item").cloned();
        Some(LateItem { table, key, before, until: Instant::now() + half.span })
    }

    async fn keys_of(&self, request: &Request<Bytes>, table: &str) -> Option<Vec<String>> {
        if let Some(names) = self.faults.state().keys.get(table) {
            return Some(names.clone());
        }
        let response = self.ask(request, "DescribeTable", &json!({ "TableName": table })).await?;
        let schema = response.get("Table")?.get("KeySchema")?.as_array()?;
        let names = schema.iter().map(|key| Some(key.get("AttributeName")?.as_str()?.to_owned()));
        let names: Vec<String> = names.collect::<Option<_>>()?;
        self.faults.state().keys.insert(table.to_owned(), names.clone());
        Some(names)
    }

    /// Makes a request of the proxy's own, with the headers of a caller's request.
    async fn ask(&self, like: &Request<Bytes>, operation: &str, body: &Value) -> Option<Value> {
        let mut request = Request::new(Bytes::from(body.to_string()));
        (*request.method_mut(), *request.uri_mut()) = (like.method().clone(), like.uri().clone());
        request.headers_mut().clone_from(like.headers());
        let target = format!("DynamoDB_20120810.{operation}").parse().ok()?;
        request.headers_mut().insert("x-amz-target", target);
        let reply = self.forward(request, operation).await.ok()?;
        let body = reply.into_body().collect().await.ok()?.to_bytes();
        serde_json::from_slice(&body).ok()
    }

    async fn forward(&self, request: Request<Bytes>, operation: &str) -> Reply {
        let (parts, mut body) = request.into_parts();
        let counts = self.service == Service::DynamoDb && self.faults.state().counts_capacity;
        if counts && let Some(asking) = capacity::ask(operation, &body) {
            body = asking;
        }
        let mut headers = parts.headers;
        headers.remove(HOST);
        headers.remove(CONTENT_LENGTH);
        let path = parts.uri.path_and_query().map_or("/", |path| path.as_str());
        let url = format!("{}{path}", self.url.trim_end_matches('/'));
        let asked = body.clone();
        let answer = self.client.request(parts.method, url).headers(headers).body(body);
        let answer = answer.send().await.map_err(|_| CloseConnection)?;
        let (status, mut headers) = (answer.status(), answer.headers().clone());
        let body = answer.bytes().await.map_err(|_| CloseConnection)?;
        if counts {
            let cost = match status.is_success() {
                true => capacity::answered(operation, &body),
                false => capacity::refused(operation, &asked, &body),
            };
            let mut state = self.faults.state();
            for (what, cost) in cost {
                *state.capacity.entry(what).or_default() += cost;
            }
        }
        for of_one_connection in [CONNECTION, CONTENT_LENGTH, TRANSFER_ENCODING] {
            headers.remove(of_one_connection);
        }
        let mut response = Response::new(Full::new(body));
        *response.status_mut() = status;
        *response.headers_mut() = headers;
        Ok(response)
    }
}
