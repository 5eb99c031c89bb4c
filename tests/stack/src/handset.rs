//! A phone of the simulators, by their console.

use ivy_simulators::Persona;
use serde_json::{Value, json};

#[derive(Clone)]
pub struct Handset {
    pub(crate) http: reqwest::Client,
    pub(crate) base: String,
    pub phone: String,
}

impl std::fmt::Debug for Handset {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Handset")
    }
}

impl Handset {
    fn url(&self, path: &str) -> String {
        format!("{}/simulator/{path}", self.base)
    }

    async fn get(&self, path: &str) -> Value {
        let response = self.http.get(self.url(path)).send().await.unwrap();
        assert!(response.status().is_success(), "{path}: {}", response.status());
        response.json().await.unwrap()
    }

    async fn send(&self, request: reqwest::RequestBuilder) {
        let response = request.send().await.unwrap();
        assert_eq!(response.status().as_u16(), 204, "{:?}", response.text().await);
    }

    /// Says how calls are answered from now on.
    pub async fn set_persona(&self, persona: &Persona) {
        self.send(self.http.put(self.url(&format!("persona/{}", self.phone))).json(persona)).await;
    }

    /// The person writes on WhatsApp.
    pub async fn reply(&self, text: &str) {
        let url = self.url(&format!("handset/{}/reply", self.phone));
        self.send(self.http.post(url).json(&json!({"text": text}))).await;
    }

    /// The person calls Ivy; answers the provider's id of the call.
    pub async fn call(&self) -> String {
        self.act("call", &json!({})).await["call_id"].as_str().unwrap().to_owned()
    }

    /// The agent of the running call uses a tool; what it is told.
    pub async fn tool(&self, name: &str, args: &Value) -> Value {
        self.act("tool", &json!({"name": name, "args": args})).await
    }

    /// The person hangs up; what the call's analysis finds in it.
    pub async fn hang_up(&self, analysis: &Value, transcript: &str) {
        let url = self.url(&format!("handset/{}/hangup", self.phone));
        self.send(self.http.post(url).json(&json!({"analysis": analysis, "transcript": transcript}))).await;
    }

    /// What the handset page does when a button of it is pressed.
    async fn act(&self, action: &str, body: &Value) -> Value {
        let url = self.url(&format!("handset/{}/{action}", self.phone));
        let response = self.http.post(url).json(body).send().await.unwrap();
        assert!(response.status().is_success(), "{action}: {}", response.status());
        response.json().await.unwrap()
    }

    /// The messages that arrived, oldest first.
    pub async fn arrived(&self) -> Vec<Value> {
        self.get(&format!("handset/{}", self.phone)).await["messages"].as_array().unwrap().clone()
    }

    /// Each time that this phone was dialled.
    pub async fn rings(&self) -> Vec<Value> {
        let digits = self.phone.trim_start_matches('+');
        self.get(&format!("rings?phone=%2B{digits}")).await["rings"].as_array().unwrap().clone()
    }

    /// The provider's own object of a call, as its API and its webhooks show it.
    pub async fn provider_call(&self, api_key: &str, provider_call_id: &str) -> Value {
        let url = format!("{}/retell/v2/get-call/{provider_call_id}", self.base);
        let response = self.http.get(url).bearer_auth(api_key).send().await.unwrap();
        assert!(response.status().is_success(), "{}", response.status());
        response.json().await.unwrap()
    }
}
