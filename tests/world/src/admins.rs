//! Operators and companies' admins: accounts as a deployer makes them, and clients that signed in with them.

use ivy_domain::{
    CompanyId,
    admin::{AdminRole, NewPassword},
};
use ivy_flows::admins;
use serde_json::json;

use crate::{Client, World};

/// The password of every account that the world makes.
pub const ADMIN_PASSWORD: &str = "a password of the world";

impl World {
    /// The client of a new operator of the service.
    pub async fn operator(&self) -> Client {
        self.admin(AdminRole::Operator).await
    }

    /// The client of a new admin of a company.
    pub async fn company_admin(&self, company_id: CompanyId) -> Client {
        self.admin(AdminRole::CompanyAdmin { company_id }).await
    }

    /// Makes an account with [`ADMIN_PASSWORD`].
    pub async fn add_admin(&self, email: &str, role: AdminRole) {
        let password: NewPassword = ADMIN_PASSWORD.parse().unwrap();
        admins::add(&self.ivy.store, &email.parse().unwrap(), role, &password, self.now()).await.unwrap();
    }

    async fn admin(&self, role: AdminRole) -> Client {
        let client = self.client();
        // Its address makes it another one each time.
        let email = format!("{}@ivy.example", client.address);
        self.add_admin(&email, role).await;
        let body = json!({"email": email, "password": ADMIN_PASSWORD});
        let session = client.post("/api/admin/auth/login", body, 200).await;
        Client { token: Some(session["access_token"].as_str().unwrap().to_owned()), ..client }
    }
}
